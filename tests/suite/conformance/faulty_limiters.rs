//! Limiters that break one point of their contract each, and that the kit finds which.

use super::{
    faulty_waits::{Line, Wait},
    limits,
};
use std::{
    mem,
    sync::{Arc, Mutex},
};
use tower_ratelimit::{
    Key, KeyedLimiter, Limiter, ManualClock, Patience, RateLimitLayer, RateLimiter, SlidingWindow,
    Terms,
    conformance::Point,
    limiter::{Attempt, Perished, Ticket},
};

/// What a limiter does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    RefusesAll,
    OneMore,
    OneForEachClone,
    NeverAgain,
    WakesNobody,
    WakesTheFirstTask,
    LastComeFirstServed,
    OnlyTheFirstIsServed,
    DropKeepsThePlace,
    GiveBackIsLost,
    GiveBackIsHeldUp,
    UsesWhatPerished,
    PerishesAtOnce,
    RefusalTakes,
    NowWaits,
    CostTooHighWaits,
    CostIsIgnored,
    CostZeroWaits,
    KeysShareALimit,
}

use Fault::*;

/// A limiter of one call in a window, in which something is wrong.
struct Faulty {
    fault: Fault,
    clock: ManualClock,
    limiter: RateLimiter<SlidingWindow>,
    line: Arc<Mutex<Line>>,
}

impl Faulty {
    fn new(fault: Fault, clock: &ManualClock) -> Self {
        let permits = if fault == OneMore { 2 } else { 1 };
        let limiter = RateLimiter::builder(limits::window(permits)).clock(clock.clone()).build();
        Self { fault, clock: clock.clone(), limiter, line: Arc::default() }
    }
}

impl Clone for Faulty {
    fn clone(&self) -> Self {
        match self.fault {
            OneForEachClone => Self::new(self.fault, &self.clock),
            _ => Self {
                fault: self.fault,
                clock: self.clock.clone(),
                limiter: self.limiter.clone(),
                line: Arc::clone(&self.line),
            },
        }
    }
}

impl Limiter for Faulty {
    type Ticket = Ticket;
    type Hold = ();
    type Wait = Wait;

    fn reserve<K: Key + ?Sized>(&self, _: &K, mut terms: Terms) -> Attempt<Ticket, Wait> {
        let held_up = mem::take(&mut self.line.lock().unwrap().held_up);
        held_up.into_iter().for_each(|ticket| self.limiter.give_back(ticket));
        match self.fault {
            NowWaits => terms.patience = Patience::Forever,
            CostIsIgnored => terms.cost = terms.cost.min(1),
            CostZeroWaits => terms.cost = terms.cost.max(1),
            RefusesAll => terms.cost = 2,
            _ => {}
        }
        let line = Arc::clone(&self.line);
        if self.fault == CostTooHighWaits && terms.cost == u32::MAX {
            let (fault, inner, first) = (NeverAgain, None, None);
            return Attempt::Later(Wait { fault, inner, line, id: 0, first, is_served: false });
        }
        match Limiter::reserve(&self.limiter, &(), terms) {
            Attempt::Now(Err(refusal)) if self.fault == RefusalTakes => {
                if terms.patience != Patience::Forever {
                    self.limiter.charge(1).unwrap();
                }
                Attempt::Now(Err(refusal))
            }
            Attempt::Now(answer) => Attempt::Now(answer),
            Attempt::Later(inner) => {
                let inner = Box::pin(inner);
                let mut shared = self.line.lock().unwrap();
                shared.count += 1;
                let (fault, id, first) = (self.fault, shared.count, None);
                let inner = match fault {
                    LastComeFirstServed | OnlyTheFirstIsServed => {
                        shared.places.push(inner);
                        None
                    }
                    _ => Some(inner),
                };
                Attempt::Later(Wait { fault, inner, line, id, first, is_served: false })
            }
        }
    }

    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Wait> {
        match self.reserve(key, terms) {
            Attempt::Now(Ok(ticket)) => {
                Attempt::Now(self.commit(ticket).map_err(|_| unreachable!("it is fresh")))
            }
            Attempt::Now(Err(refusal)) => Attempt::Now(Err(refusal)),
            Attempt::Later(wait) => Attempt::Later(wait),
        }
    }

    fn keeps(&self, ticket: &Ticket) -> bool {
        match self.fault {
            UsesWhatPerished => true,
            PerishesAtOnce => false,
            _ => self.limiter.keeps(ticket),
        }
    }

    fn commit(&self, ticket: Ticket) -> Result<(), Perished> {
        match self.limiter.commit(ticket) {
            Err(Perished) if self.fault == UsesWhatPerished => Ok(()),
            used => used,
        }
    }

    fn give_back(&self, ticket: Ticket) {
        match self.fault {
            // A ticket is plain data: nothing goes back by itself.
            GiveBackIsLost => drop(ticket),
            GiveBackIsHeldUp => self.line.lock().unwrap().held_up.push(ticket),
            _ => self.limiter.give_back(ticket),
        }
    }
}

impl KeyedLimiter for Faulty {}

/// What the kit of the layers finds, and that of the limiters.
async fn found(fault: Fault) -> [Option<Point>; 2] {
    let clock = ManualClock::new();
    let limits = limits::limits(&clock);
    let layer = limits.layer(|| RateLimitLayer::new(Faulty::new(fault, &clock))).await;
    let limiter = limits.limiter(|| Faulty::new(fault, &clock)).await;
    [layer, limiter].map(|found| found.err().map(|violation| violation.point()))
}

#[tokio::test]
async fn a_limiter_without_a_fault_conforms() {
    assert_eq!(found(Nothing).await, [None, None]);
}

#[tokio::test]
async fn faults_of_whoever_lets_through_are_found() {
    assert_eq!(found(RefusesAll).await, [Some(Point::LetsThrough); 2]);
    assert_eq!(found(OneMore).await[0], Some(Point::Limits));
    assert_eq!(found(OneForEachClone).await[0], Some(Point::Limits));
    assert_eq!(found(UsesWhatPerished).await, [Some(Point::SavedUp); 2]);
}

#[tokio::test]
async fn faults_of_waiting_are_found() {
    assert_eq!(found(NeverAgain).await[0], Some(Point::Serves));
    assert_eq!(found(WakesNobody).await, [Some(Point::Wakes); 2]);
    assert_eq!(found(WakesTheFirstTask).await, [Some(Point::Wakes); 2]);
    assert_eq!(found(LastComeFirstServed).await[0], Some(Point::InOrder));
    assert_eq!(found(OnlyTheFirstIsServed).await[0], Some(Point::Unpolled));
    assert_eq!(found(DropKeepsThePlace).await, [Some(Point::WaitDropped); 2]);
}

#[tokio::test]
async fn faults_of_tickets_are_found() {
    assert_eq!(found(GiveBackIsLost).await, [Some(Point::ReadyDropped), Some(Point::TicketBack)]);
    assert_eq!(found(GiveBackIsHeldUp).await, [Some(Point::HandsOn); 2]);
    assert_eq!(found(PerishesAtOnce).await[1], Some(Point::FreshTicket));
}

#[tokio::test]
async fn faults_of_costs_and_patience_are_found() {
    assert_eq!(found(RefusalTakes).await, [None, Some(Point::Patience)]);
    assert_eq!(found(NowWaits).await, [None, Some(Point::Patience)]);
    assert_eq!(found(CostIsIgnored).await, [None, Some(Point::CostTooHigh)]);
    assert_eq!(found(CostTooHighWaits).await, [None, Some(Point::CostTooHigh)]);
    assert_eq!(found(CostZeroWaits).await, [None, Some(Point::CostNothing)]);
}

#[tokio::test]
async fn keys_that_share_a_limit_are_found() {
    let clock = ManualClock::new();
    let limits = limits::limits(&clock);
    let violation =
        limits.keyed_limiter(|| Faulty::new(KeysShareALimit, &clock)).await.unwrap_err();
    assert_eq!(violation.point(), Point::Keys);
    assert!(violation.to_string().contains("call 10000 is of another key"), "{violation}");
}
