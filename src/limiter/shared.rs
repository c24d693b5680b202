//! What one limit and many keyed ones have in common: how a call is answered.

use super::{
    Attempt, Patience, Perished, Terms, Use,
    lane::{Desk, Lane, Taken, Turn, Wakes},
    lanes::Lanes,
    line::Place,
    waiting::Waiting,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    decision::{Decision, Grant, Outcome},
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
const PLACES: Place = 1 << 32;

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
/// [`KeyedRateLimiter`](super::KeyedRateLimiter).
#[derive(Debug)]
#[must_use = "permits are committed or given back"]
pub struct Ticket {
    pub(super) key: Fingerprint,
    pub(super) held: Held,
}

/// What a ticket stands for.
#[derive(Debug)]
pub(super) enum Held {
    /// Permits that were not used yet.
    Unused(Place),
    /// Permits that were used.
    Used(Decision),
}

/// The answer to a call that has just come.
enum Answer {
    Granted(Held),
    Refused(Reason, Decision),
    Waits(Place),
}

impl<A: Algorithm> Shared<A> {
    pub(super) fn new(algorithm: A, settings: Settings, lanes: Lanes<A>) -> Self {
        Self { algorithm, settings, lanes, lines: AtomicU64::new(0) }
    }

    /// Answers a call that has just come.
    #[inline(always)]
    pub(super) fn reserve(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        let now = self.now();
        if terms.cost == 0 {
            let held = Held::Used(self.peek(key, 0));
            return Attempt::Now(Ok(Ticket { key, held }));
        }
        let quickly = |lane: &mut Lane<A>| lane.take_quickly(&self.algorithm, now, terms);
        match self.lanes.existing(key, quickly).flatten() {
            Some(held) => Attempt::Now(Ok(Ticket { key, held })),
            None => self.reserve_in_line(key, now, terms),
        }
    }

    /// Answers a call that has just come, in a line that is made for it if need be.
    #[cold]
    #[inline(never)]
    fn reserve_in_line(
        self: &Arc<Self>,
        mut key: Fingerprint,
        now: Nanos,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        let answered = self.lanes.with(&self.algorithm, &mut key, now, |lane| {
            // Where there is no line, none is made for a call that will not wait.
            if terms.usage == Use::Now
                && let Some(decision) = lane.take(&self.algorithm, now, terms.cost)
            {
                match decision.outcome {
                    Outcome::Granted(_) => {
                        return (Answer::Granted(Held::Used(decision)), Wakes::default());
                    }
                    Outcome::Later(wait) if !terms.patience.accepts(wait) => {
                        return (Answer::Refused(Reason::UsedUp, decision), Wakes::default());
                    }
                    Outcome::Later(_) | Outcome::Never => {}
                }
            }
            let mut desk = self.desk(lane, now);
            (self.answer(&mut desk, terms), desk.wakes)
        });
        let (answer, wakes) = match answered {
            Ok(answered) => answered,
            Err(reason) => return Attempt::Now(Err(self.refusal_without(reason, terms))),
        };
        wakes.wake();
        match answer {
            Answer::Granted(held) => Attempt::Now(Ok(Ticket { key, held })),
            Answer::Waits(place) => {
                Attempt::Later(Waiting::new(Arc::clone(self), key, place, terms, now))
            }
            Answer::Refused(reason, decision) => {
                Attempt::Now(Err(self.refusal(reason, decision, terms)))
            }
        }
    }

    fn answer(&self, desk: &mut Desk<'_, A>, terms: Terms) -> Answer {
        let decision = match desk.take(terms.cost) {
            Taken::Granted(decision) => {
                return Answer::Granted(match (terms.usage, decision.outcome) {
                    (Use::Later, Outcome::Granted(grant)) if terms.cost > 0 => {
                        Held::Unused(desk.keep(grant))
                    }
                    _ => Held::Used(decision),
                });
            }
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
            Outcome::Later(wait) if !terms.patience.accepts(wait) => {
                Answer::Refused(Reason::UsedUp, decision)
            }
            _ if desk.waiting() >= self.settings.max_waiting => {
                Answer::Refused(Reason::QueueFull, decision)
            }
            _ => Answer::Waits(desk.join(terms.cost)),
        }
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&self, key: Fingerprint, cost: u32) -> Decision {
        let known = self.at(key, |desk| desk.peek(cost));
        known.unwrap_or_else(|| self.desk(&mut Lane::default(), self.now()).peek(cost))
    }

    /// Serves who is due, and says how the call at `place` stands. Where there is no room for a
    /// key that was forgotten meanwhile, `key` becomes the one that such keys share.
    ///
    /// # Errors
    ///
    /// When there is no room, and such keys are refused.
    pub(super) fn poll(
        &self,
        key: &mut Fingerprint,
        place: Place,
        now: Nanos,
        terms: Terms,
        waker: &Waker,
    ) -> Result<Turn<Held>, Reason> {
        let (turn, wakes) = self.lanes.with(&self.algorithm, key, now, |lane| {
            let mut desk = self.desk(lane, now);
            let turn = desk.poll(place, terms.cost, waker);
            let turn = match (turn, terms.usage) {
                (Turn::Wait(alarm), _) => Turn::Wait(alarm),
                (Turn::Never(decision), _) => Turn::Never(decision),
                (Turn::Granted(()), Use::Later) => Turn::Granted(Held::Unused(place)),
                (Turn::Granted(()), Use::Now) => match desk.commit(place) {
                    Some(decision) => Turn::Granted(Held::Used(decision)),
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
        match &ticket.held {
            Held::Unused(place) => {
                self.at(ticket.key, |desk| desk.is_fresh(*place)).unwrap_or(false)
            }
            Held::Used(decision) => {
                let now = self.now();
                let keeps = |grant: Grant| now < grant.at + self.algorithm.shelf_life();
                decision.grant().is_none_or(keeps)
            }
        }
    }

    /// Uses permits now, and says how the limit stands then.
    #[inline(always)]
    pub(super) fn commit(&self, ticket: Ticket) -> Result<Decision, Perished> {
        match ticket.held {
            Held::Used(decision) => Ok(decision),
            Held::Unused(place) => {
                // Read before the lock is taken: whoever took permits at a later instant has given
                // back those that had perished by then.
                let now = self.now();
                let quickly = |lane: &mut Lane<A>| lane.commit_quickly(&self.algorithm, now, place);
                match self.lanes.existing(ticket.key, quickly).flatten() {
                    Some(decision) => Ok(decision),
                    None => self.commit_in_line(ticket.key, place),
                }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn commit_in_line(&self, key: Fingerprint, place: Place) -> Result<Decision, Perished> {
        let used = self.at(key, |desk| desk.commit(place));
        used.flatten().ok_or(Perished)
    }

    pub(super) fn give_back(&self, ticket: Ticket) {
        match ticket.held {
            Held::Unused(place) => self.leave(ticket.key, place),
            Held::Used(decision) => {
                if let Some(grant) = decision.grant().filter(|grant| grant.cost > 0) {
                    self.at(ticket.key, |desk| desk.refund(grant));
                    self.lanes.forget(&self.algorithm, ticket.key, self.now());
                }
            }
        }
    }

    /// The error for a call that was not let through.
    pub(super) fn refusal(&self, reason: Reason, decision: Decision, terms: Terms) -> RateLimited {
        let mut refusal = self.named(RateLimited::new(reason), terms);
        if let Some(rate) = self.algorithm.rate(decision.rate) {
            refusal = refusal.with_rate(rate);
        }
        if let Outcome::Later(wait) = decision.outcome {
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
