//! What one limit and many keyed ones have in common: how a call is answered.

use super::{
    Attempt, Patience, Perished, Terms,
    desk::{Desk, Taken, Turn, Wakes},
    lane::Lane,
    lanes::Lanes,
    line::{Line, Place},
    rules::Rules,
    waiting::Waiting,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    decision::{Ask, Decision, Grant, Outcome},
    error::{RateLimited, Reason},
    events,
    meters::Meters,
    nanos::Nanos,
    rate::Rate,
    store::memory::Fingerprint,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

/// Places of one line are this far below those of the next, so that no two permits are taken
/// for each other.
const PLACES: u64 = 1 << 32;

/// A limiter without its handle.
pub(super) struct Shared<A: Algorithm> {
    pub(super) settings: Settings,
    pub(super) lanes: Lanes<A>,
    pub(super) meters: Meters,
    lines: AtomicU64,
}

/// What a limiter is built with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) name: Option<Arc<str>>,
    pub(super) max_waiting: usize,
    pub(super) slack: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { clock: Clock::default(), name: None, max_waiting: usize::MAX, slack: Duration::ZERO }
    }
}

/// Permits granted by a [`RateLimiter`](super::RateLimiter) or a
/// [`KeyedRateLimiter`](super::KeyedRateLimiter), and not used yet.
#[derive(Debug)]
#[must_use = "permits are committed or given back"]
pub struct Ticket {
    pub(super) key: Fingerprint,
    pub(super) place: Place,
}

/// Permits that were used.
pub(super) struct Used {
    pub(super) key: Fingerprint,
    pub(super) decision: Decision,
    /// How long the call stood in line.
    pub(super) waited: Nanos,
}

/// The answer to a call that has just come.
enum Answer<T> {
    Granted(T),
    Refused(Reason, Option<Decision>),
    Waits(Place),
}

impl<A: Algorithm> Shared<A> {
    pub(super) fn new(settings: Settings, lanes: Lanes<A>) -> Self {
        let meters = Meters::new(settings.name.as_ref());
        Self { settings, lanes, meters, lines: AtomicU64::new(0) }
    }

    /// Answers a call that has just come, and uses its permits later.
    #[inline(always)]
    pub(super) fn reserve(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        if terms.cost == 1
            && let Some(place) = self.lanes.promise()
        {
            return Attempt::Now(Ok(Ticket { key, place }));
        }
        self.reserve_on_time(key, terms)
    }

    /// The same with a look at the clock.
    #[inline]
    fn reserve_on_time(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        let now = self.now();
        match self.lanes.take_quickly(key, now, terms.cost) {
            Some(place) => Attempt::Now(Ok(Ticket { key, place })),
            None => self.reserve_in_line(key, now, terms),
        }
    }

    #[cold]
    #[inline(never)]
    fn reserve_in_line(
        self: &Arc<Self>,
        mut key: Fingerprint,
        now: Nanos,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        if terms.cost == 0 {
            return Attempt::Now(self.pass(key, terms)).map(|_| Ticket { key, place: Place::FREE });
        }
        let answered = self.lanes.with(&mut key, now, |rules, lane| {
            let mut desk = self.desk(rules, lane, now);
            let answer = match self.answer(&mut desk, terms) {
                Answer::Granted(decision) => Answer::Granted(desk.keep(decision)),
                Answer::Refused(reason, decision) => Answer::Refused(reason, decision),
                Answer::Waits(place) => Answer::Waits(place),
            };
            (answer, desk.wakes)
        });
        self.conclude(answered, key, now, terms).map(|place| Ticket { key, place })
    }

    /// Answers a call that has just come, and uses its permits at once.
    #[inline(always)]
    pub(super) fn take(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: Terms,
    ) -> Attempt<Used, Waiting<A>> {
        let now = self.now();
        match self.lanes.use_quickly(key, now, terms.cost) {
            Some((decision, _)) if decision.is_granted() => {
                Attempt::Now(Ok(self.admit(key, decision, Nanos::ZERO)))
            }
            Some((decision, rate)) if terms.refuses(decision) => {
                Attempt::Now(Err(self.refusal(Reason::UsedUp, decision, rate, terms)))
            }
            _ => self.take_in_line(key, now, terms),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_in_line(
        self: &Arc<Self>,
        mut key: Fingerprint,
        now: Nanos,
        terms: Terms,
    ) -> Attempt<Used, Waiting<A>> {
        if terms.cost == 0 {
            let passed = Attempt::Now(self.pass(key, terms));
            return passed.map(|decision| self.admit(key, decision, Nanos::ZERO));
        }
        let answered = self.lanes.with(&mut key, now, |rules, lane| {
            // Where there is no line, none is made for a call that will not wait.
            match lane.use_quickly(rules, now, terms.cost) {
                Some(decision) if decision.is_granted() => {
                    return (Answer::Granted(decision), Wakes::default());
                }
                Some(decision) if terms.refuses(decision) => {
                    return (Answer::Refused(Reason::UsedUp, Some(decision)), Wakes::default());
                }
                _ => {}
            }
            let mut desk = self.desk(rules, lane, now);
            (self.answer(&mut desk, terms), desk.wakes)
        });
        let attempt = self.conclude(answered, key, now, terms);
        attempt.map(|decision| self.admit(key, decision, Nanos::ZERO))
    }

    /// Answers a call of no cost, for which nothing has to be remembered.
    fn pass(&self, key: Fingerprint, terms: Terms) -> Result<Decision, RateLimited> {
        let known = self.at(key, |desk| desk.take(terms.cost));
        let taken = known.unwrap_or_else(|| {
            let rules = self.lanes.rules();
            self.desk(&rules, &mut Lane::default(), self.now()).take(terms.cost)
        });
        match taken {
            Taken::Granted(decision) | Taken::Refused(decision) => Ok(decision),
            Taken::Behind | Taken::Closed => Err(self.refusal_in_line(Reason::Closed, None, terms)),
        }
    }

    fn answer(&self, desk: &mut Desk<'_, A>, terms: Terms) -> Answer<Decision> {
        let decision = match desk.take(terms.cost) {
            Taken::Granted(decision) => return Answer::Granted(decision),
            Taken::Closed => return Answer::Refused(Reason::Closed, None),
            Taken::Refused(decision) if terms.patience == Patience::Now => decision,
            Taken::Refused(decision) => desk.if_it_waits(decision),
            // Nobody who waits as long as it takes, and may, has to know how long that is.
            Taken::Behind
                if terms.patience.is_endless() && desk.waiting() < self.settings.max_waiting =>
            {
                return Answer::Waits(desk.join(terms.cost));
            }
            Taken::Behind => desk.turn(terms.cost),
        };
        match decision.outcome {
            Outcome::Never => Answer::Refused(Reason::TooCostly, Some(decision)),
            Outcome::Exhausted => Answer::Refused(Reason::Exhausted, Some(decision)),
            _ if terms.refuses(decision) => Answer::Refused(Reason::UsedUp, Some(decision)),
            _ if desk.waiting() >= self.settings.max_waiting => {
                Answer::Refused(Reason::QueueFull, Some(decision))
            }
            _ => Answer::Waits(desk.join(terms.cost)),
        }
    }

    /// Lets everybody know, once the lock is let go.
    fn conclude<T>(
        self: &Arc<Self>,
        answered: Result<(Answer<T>, Wakes), Reason>,
        key: Fingerprint,
        now: Nanos,
        terms: Terms,
    ) -> Attempt<T, Waiting<A>> {
        let (answer, wakes) = match answered {
            Ok(answered) => answered,
            Err(reason) => return Attempt::Now(Err(self.refusal_in_line(reason, None, terms))),
        };
        wakes.wake();
        match answer {
            Answer::Granted(granted) => Attempt::Now(Ok(granted)),
            Answer::Waits(place) => {
                Attempt::Later(Waiting::new(Arc::clone(self), key, place, terms, now))
            }
            Answer::Refused(reason, decision) => {
                Attempt::Now(Err(self.refusal_in_line(reason, decision, terms)))
            }
        }
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&self, key: Fingerprint, cost: u32) -> Decision {
        let known = self.at(key, |desk| desk.peek(cost));
        known.unwrap_or_else(|| {
            let rules = self.lanes.rules();
            self.desk(&rules, &mut Lane::default(), self.now()).peek(cost)
        })
    }

    /// Serves who is due, and says how the call at `place` stands; what it has then is for
    /// `granted` to say. Where there is no room for a key that was forgotten meanwhile, `key`
    /// becomes the one that such keys share.
    ///
    /// # Errors
    ///
    /// When there is no room, and such keys are refused.
    pub(super) fn poll<T>(
        &self,
        key: &mut Fingerprint,
        place: Place,
        now: Nanos,
        cost: u32,
        waker: &Waker,
        granted: impl FnOnce(&mut Desk<'_, A>, Place) -> Option<T>,
    ) -> Result<Turn<T>, Reason> {
        let (turn, wakes) = self.lanes.with(key, now, |rules, lane| {
            let mut desk = self.desk(rules, lane, now);
            let turn = match desk.poll(place, cost, waker) {
                Turn::Wait(alarm) => Turn::Wait(alarm),
                Turn::Refused(decision) => Turn::Refused(decision),
                Turn::SentAway(reason) => Turn::SentAway(reason),
                Turn::Granted(()) => match granted(&mut desk, place) {
                    Some(granted) => Turn::Granted(granted),
                    None => Turn::Wait(now),
                },
            };
            (turn, desk.wakes)
        })?;
        wakes.wake();
        Ok(turn)
    }

    /// How long the one at `place` would still have to wait.
    pub(super) fn turn_of(&self, key: Fingerprint, place: Place, cost: u32) -> Option<Decision> {
        self.at(key, |desk| desk.turn_of(place, cost))
    }

    pub(super) fn leave(&self, key: Fingerprint, place: Place) {
        self.at(key, |desk| desk.leave(place));
    }

    pub(super) fn keeps(&self, ticket: &Ticket) -> bool {
        match ticket.place {
            Place::FREE => true,
            place => self.at(ticket.key, |desk| desk.is_fresh(place)).unwrap_or(false),
        }
    }

    /// Uses permits now, and says how the limit stands then.
    #[inline(always)]
    pub(super) fn commit(&self, ticket: Ticket) -> Result<Used, Perished> {
        let Ticket { key, place } = ticket;
        // Read before the lock is taken: whoever took permits at a later instant has given back
        // those that had perished by then.
        let now = self.now();
        let decision = match self.lanes.commit_quickly(key, now, place) {
            Some(decision) => decision,
            None => self.commit_in_line(key, place)?,
        };
        Ok(self.admit(key, decision, Nanos::ZERO))
    }

    /// Counts a call that takes place now. Nothing else makes permits that were used.
    #[inline(always)]
    pub(super) fn admit(&self, key: Fingerprint, decision: Decision, waited: Nanos) -> Used {
        self.meters.admitted();
        Used { key, decision, waited }
    }

    #[cold]
    #[inline(never)]
    fn commit_in_line(&self, key: Fingerprint, place: Place) -> Result<Decision, Perished> {
        match place {
            Place::FREE => Ok(self.peek(key, 0)),
            place => self.at(key, |desk| desk.commit(place)).flatten().ok_or(Perished),
        }
    }

    pub(super) fn give_back(&self, ticket: Ticket) {
        match ticket.place {
            Place::FREE => {}
            place => self.leave(ticket.key, place),
        }
    }

    /// Gives back permits that were used.
    pub(super) fn refund(&self, used: &Used) {
        self.settle(used, Ask::GiveBack);
    }

    /// The call that used these permits has ended.
    pub(super) fn end(&self, used: &Used) {
        self.settle(used, Ask::End);
    }

    /// The call that uses these permits goes on. Whether it still has them.
    pub(super) fn renew(&self, used: &mut Used) -> bool {
        match self.settle(used, Ask::Renew) {
            Some(decision) if decision.is_granted() => {
                used.decision = decision;
                true
            }
            Some(_) => false,
            None => used.decision.grant().is_none_or(|grant| grant.cost == 0),
        }
    }

    fn settle(&self, used: &Used, ask: impl FnOnce(Grant) -> Ask) -> Option<Decision> {
        let grant = used.decision.grant().filter(|grant| grant.cost > 0)?;
        let decision = self.at(used.key, |desk| desk.settle(ask(grant)));
        self.lanes.forget(used.key, self.now());
        decision
    }

    /// The error for a call that was not let through.
    pub(super) fn refusal(
        &self,
        reason: Reason,
        decision: Decision,
        rate: Option<Rate>,
        terms: Terms,
    ) -> RateLimited {
        let mut refusal = self.named(RateLimited::new(reason), terms);
        if let Some(rate) = rate {
            refusal = refusal.with_rate(rate);
        }
        if let Outcome::Later(wait) | Outcome::InUse(Some(wait)) = decision.outcome {
            refusal = refusal.with_retry_after(wait.into());
        }
        self.refused(refusal)
    }

    /// The same where the rate is not at hand, or no algorithm was asked.
    pub(super) fn refusal_in_line(
        &self,
        reason: Reason,
        decision: Option<Decision>,
        terms: Terms,
    ) -> RateLimited {
        match decision {
            Some(decision) => {
                let rate = self.lanes.rules().algorithm.rate(decision.rate);
                self.refusal(reason, decision, rate, terms)
            }
            None => self.refused(self.named(RateLimited::new(reason), terms)),
        }
    }

    /// Lets everybody know of a refusal.
    fn refused(&self, refusal: RateLimited) -> RateLimited {
        self.meters.refused(refusal.reason());
        events::refused(&refusal);
        refusal
    }

    fn named(&self, refusal: RateLimited, terms: Terms) -> RateLimited {
        let mut refusal = refusal.with_cost(terms.cost);
        if let Some(name) = &self.settings.name {
            refusal = refusal.with_limit(Arc::clone(name));
        }
        match terms.patience.longest() {
            Some(max_wait) => refusal.with_max_wait(max_wait),
            None => refusal,
        }
    }

    /// Works on the lane of this key, if there is one, and wakes whom that lets go.
    ///
    /// The clock is read under the lock: whatever was taken before was taken earlier, which what is
    /// given back, or used, has to know.
    #[inline]
    pub(super) fn at<T>(
        &self,
        key: Fingerprint,
        work: impl FnOnce(&mut Desk<'_, A>) -> T,
    ) -> Option<T> {
        let (result, wakes) = self.lanes.existing(key, |rules, lane| {
            let mut desk = self.desk(rules, lane, self.now());
            (work(&mut desk), desk.wakes)
        })?;
        wakes.wake();
        Some(result)
    }

    pub(super) fn desk<'a>(
        &'a self,
        rules: &'a Rules<A>,
        lane: &'a mut Lane<A>,
        now: Nanos,
    ) -> Desk<'a, A> {
        // Whoever read the clock and was held up on the way to the lock knows nothing of the time at
        // which the permit was promised.
        let now = if lane.owes() { now.max(self.now()) } else { now };
        let places = || self.lines.fetch_add(PLACES, Ordering::Relaxed);
        lane.desk(rules, now, || Line::new(places(), self.meters.line()))
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        self.settings.clock.now()
    }
}

impl<A: Algorithm + fmt::Debug> fmt::Debug for Shared<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("algorithm", &self.lanes.rules().algorithm)
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}
