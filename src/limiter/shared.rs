//! What one limit and many keyed ones have in common: how a call is answered.

use super::{
    Attempt, Patience, Perished, Terms,
    desk::{Desk, Taken, Turn, Wakes},
    lane::Lane,
    lanes::Lanes,
    line::Place,
    waiting::Waiting,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    events,
    nanos::Nanos,
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
    pub(super) algorithm: A,
    pub(super) settings: Settings,
    pub(super) lanes: Lanes<A>,
    lines: AtomicU64,
}

/// What a limiter is built with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) name: Option<Arc<str>>,
    pub(super) max_waiting: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { clock: Clock::default(), name: None, max_waiting: usize::MAX }
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
}

/// The answer to a call that has just come.
enum Answer<T> {
    Granted(T),
    Refused(Reason, Decision),
    Waits(Place),
}

impl<A: Algorithm> Shared<A> {
    pub(super) fn new(algorithm: A, settings: Settings, lanes: Lanes<A>) -> Self {
        Self { algorithm, settings, lanes, lines: AtomicU64::new(0) }
    }

    /// Answers a call that has just come, and uses its permits later.
    #[inline(always)]
    pub(super) fn reserve(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        match terms.cost {
            0 => return Attempt::Now(Ok(Ticket { key, place: Place::FREE })),
            1 => {
                if let Some(place) = self.lanes.promise() {
                    return Attempt::Now(Ok(Ticket { key, place }));
                }
            }
            _ => {}
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
        match self.lanes.take_quickly(&self.algorithm, key, now, terms.cost) {
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
        let answered = self.lanes.with(&self.algorithm, &mut key, now, |lane| {
            let mut desk = self.desk(lane, now);
            let answer = match self.answer(&mut desk, terms) {
                Answer::Granted(decision) => match decision.grant() {
                    Some(grant) => Answer::Granted(desk.keep(grant)),
                    None => Answer::Refused(Reason::UsedUp, decision),
                },
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
        if terms.cost == 0 {
            let decision = self.peek(key, 0);
            return Attempt::Now(Ok(Used { key, decision }));
        }
        let now = self.now();
        match self.lanes.use_quickly(&self.algorithm, key, now, terms.cost) {
            Some(decision) if decision.is_granted() => Attempt::Now(Ok(Used { key, decision })),
            Some(decision) if terms.refuses(decision) => {
                Attempt::Now(Err(self.refusal(Reason::UsedUp, decision, terms)))
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
        let answered = self.lanes.with(&self.algorithm, &mut key, now, |lane| {
            // Where there is no line, none is made for a call that will not wait.
            match lane.use_quickly(&self.algorithm, now, terms.cost) {
                Some(decision) if decision.is_granted() => {
                    return (Answer::Granted(decision), Wakes::default());
                }
                Some(decision) if terms.refuses(decision) => {
                    return (Answer::Refused(Reason::UsedUp, decision), Wakes::default());
                }
                _ => {}
            }
            let mut desk = self.desk(lane, now);
            (self.answer(&mut desk, terms), desk.wakes)
        });
        self.conclude(answered, key, now, terms).map(|decision| Used { key, decision })
    }

    fn answer(&self, desk: &mut Desk<'_, A>, terms: Terms) -> Answer<Decision> {
        let decision = match desk.take(terms.cost) {
            Taken::Granted(decision) => return Answer::Granted(decision),
            Taken::Refused(decision) => decision,
            // Nobody who waits as long as it takes, and may, has to know how long that is.
            Taken::Behind
                if terms.patience.is_endless() && desk.waiting() < self.settings.max_waiting =>
            {
                return Answer::Waits(desk.join(terms.cost));
            }
            Taken::Behind => desk.turn(terms.cost),
        };
        match decision.outcome {
            Outcome::Never => Answer::Refused(Reason::TooCostly, decision),
            Outcome::Exhausted => Answer::Refused(Reason::Exhausted, decision),
            _ if terms.refuses(decision) => Answer::Refused(Reason::UsedUp, decision),
            _ if desk.waiting() >= self.settings.max_waiting => {
                Answer::Refused(Reason::QueueFull, decision)
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
            Err(reason) => return Attempt::Now(Err(self.refusal_without(reason, terms))),
        };
        wakes.wake();
        match answer {
            Answer::Granted(granted) => Attempt::Now(Ok(granted)),
            Answer::Waits(place) => {
                Attempt::Later(Waiting::new(Arc::clone(self), key, place, terms, now))
            }
            Answer::Refused(reason, decision) => {
                Attempt::Now(Err(self.refusal(reason, decision, terms)))
            }
        }
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&self, key: Fingerprint, cost: u32) -> Decision {
        let known = self.at(key, |desk| desk.peek(cost));
        known.unwrap_or_else(|| self.desk(&mut Lane::default(), self.now()).peek(cost))
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
        let (turn, wakes) = self.lanes.with(&self.algorithm, key, now, |lane| {
            let mut desk = self.desk(lane, now);
            let turn = match desk.poll(place, cost, waker) {
                Turn::Wait(alarm) => Turn::Wait(alarm),
                Turn::Refused(decision) => Turn::Refused(decision),
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
    pub(super) fn commit(&self, ticket: Ticket) -> Result<Decision, Perished> {
        let Ticket { key, place } = ticket;
        // Read before the lock is taken: whoever took permits at a later instant has given back
        // those that had perished by then.
        let now = self.now();
        match self.lanes.commit_quickly(&self.algorithm, key, now, place) {
            Some(decision) => Ok(decision),
            None => self.commit_in_line(key, place),
        }
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
    pub(super) fn refund(&self, used: Used) {
        if let Some(grant) = used.decision.grant().filter(|grant| grant.cost > 0) {
            self.at(used.key, |desk| desk.refund(grant));
            self.lanes.forget(&self.algorithm, used.key, self.now());
        }
    }

    /// The error for a call that was not let through.
    pub(super) fn refusal(&self, reason: Reason, decision: Decision, terms: Terms) -> RateLimited {
        let mut refusal = self.named(RateLimited::new(reason), terms);
        if let Some(rate) = self.algorithm.rate(decision.rate) {
            refusal = refusal.with_rate(rate);
        }
        if let Outcome::Later(wait) | Outcome::InUse(Some(wait)) = decision.outcome {
            refusal = refusal.with_retry_after(wait.into());
        }
        events::refused(&refusal);
        refusal
    }

    /// The same where no algorithm was asked.
    pub(super) fn refusal_without(&self, reason: Reason, terms: Terms) -> RateLimited {
        let refusal = self.named(RateLimited::new(reason), terms);
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
    fn at<R>(&self, key: Fingerprint, work: impl FnOnce(&mut Desk<'_, A>) -> R) -> Option<R> {
        let (result, wakes) = self.lanes.existing(key, |lane| {
            let mut desk = self.desk(lane, self.now());
            (work(&mut desk), desk.wakes)
        })?;
        wakes.wake();
        Some(result)
    }

    #[inline]
    fn desk<'a>(&'a self, lane: &'a mut Lane<A>, now: Nanos) -> Desk<'a, A> {
        lane.desk(&self.algorithm, now, || self.lines.fetch_add(PLACES, Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        self.settings.clock.now()
    }
}

impl Terms {
    /// Whether a call would rather be refused than wait as long as it would have to.
    #[inline(always)]
    fn refuses(self, decision: Decision) -> bool {
        match decision.outcome {
            Outcome::Later(wait) => !self.patience.accepts(wait),
            // Nobody knows how long it will be, so a maximum wait is a time-out there.
            Outcome::InUse(_) => self.patience == Patience::Now,
            Outcome::Granted(_) | Outcome::Exhausted | Outcome::Never => false,
        }
    }
}

impl Patience {
    /// Whether a call would rather wait this long than be refused.
    fn accepts(self, wait: Nanos) -> bool {
        match self {
            Patience::Now => false,
            Patience::MaxWait(max_wait) => wait <= max_wait.into(),
            Patience::Timeout(_) | Patience::Forever => true,
        }
    }

    fn is_endless(self) -> bool {
        matches!(self, Patience::Timeout(_) | Patience::Forever)
    }

    /// The longest wait, if there is one.
    fn longest(self) -> Option<Duration> {
        match self {
            Patience::Now => Some(Duration::ZERO),
            Patience::MaxWait(longest) | Patience::Timeout(longest) => Some(longest),
            Patience::Forever => None,
        }
    }
}

impl<A: Algorithm + fmt::Debug> fmt::Debug for Shared<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("algorithm", &self.algorithm)
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}
