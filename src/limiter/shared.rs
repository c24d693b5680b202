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
    #[inline]
    pub(super) fn reserve(
        self: &Arc<Self>,
        mut key: Fingerprint,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        let now = self.now();
        match self.answer(&mut key, now, terms) {
            Ok(Answer::Granted(held)) => Attempt::Now(Ok(Ticket { key, held })),
            Ok(Answer::Waits(place)) => {
                Attempt::Later(Waiting::new(Arc::clone(self), key, place, terms, now))
            }
            Ok(Answer::Refused(reason, decision)) => {
                Attempt::Now(Err(self.refusal(reason, decision, terms)))
            }
            Err(reason) => {
                let refusal = self.named(RateLimited::new(reason), terms);
                events::refused(&refusal);
                Attempt::Now(Err(refusal))
            }
        }
    }

    #[inline]
    fn answer(&self, key: &mut Fingerprint, now: Nanos, terms: Terms) -> Result<Answer, Reason> {
        let (answer, wakes) = self.lanes.with(&self.algorithm, key, now, |lane| {
            // Where there is no line, there is no need to make one for a call that will not wait.
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
            (self.answer_in_line(&mut desk, terms), desk.wakes)
        })?;
        wakes.wake();
        Ok(answer)
    }

    fn answer_in_line(&self, desk: &mut Desk<'_, A>, terms: Terms) -> Answer {
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
        let now = self.now();
        let known = self.at(key, now, |desk| desk.peek(cost));
        known.unwrap_or_else(|| self.desk(&mut Lane::default(), now).peek(cost))
    }

    /// Serves who is due, and says how the call at `place` stands.
    pub(super) fn poll(
        &self,
        key: Fingerprint,
        place: Place,
        now: Nanos,
        terms: Terms,
        waker: &Waker,
    ) -> Turn<Held> {
        let turn = self.at(key, now, |desk| {
            let turn = desk.poll(place, terms.cost, waker);
            match (turn, terms.usage) {
                (Turn::Wait(alarm), _) => Turn::Wait(alarm),
                (Turn::Never(decision), _) => Turn::Never(decision),
                (Turn::Granted(()), Use::Later) => Turn::Granted(Held::Unused(place)),
                (Turn::Granted(()), Use::Now) => match desk.commit(place) {
                    Some(decision) => Turn::Granted(Held::Used(decision)),
                    None => Turn::Wait(now),
                },
            }
        });
        // A lane is kept as long as anybody has a place in its line.
        turn.unwrap_or(Turn::Wait(now))
    }

    /// How long the one at `place` would still have to wait.
    pub(super) fn turn_of(
        &self,
        key: Fingerprint,
        place: Place,
        now: Nanos,
        cost: u32,
    ) -> Option<Decision> {
        self.at(key, now, |desk| desk.turn_of(place, cost))
    }

    pub(super) fn leave(&self, key: Fingerprint, place: Place) {
        self.at(key, self.now(), |desk| desk.leave(place));
    }

    pub(super) fn keeps(&self, ticket: &Ticket) -> bool {
        let now = self.now();
        match &ticket.held {
            Held::Used(decision) => {
                decision.grant().is_none_or(|grant| now < grant.at + self.algorithm.shelf_life())
            }
            Held::Unused(place) => {
                let fresh = self.at(ticket.key, now, |desk| desk.is_fresh(*place));
                fresh.unwrap_or(false)
            }
        }
    }

    /// Uses permits now, and says how the limit stands then.
    #[inline]
    pub(super) fn commit(&self, ticket: Ticket) -> Result<Decision, Perished> {
        match ticket.held {
            Held::Used(decision) => Ok(decision),
            Held::Unused(place) => {
                let used = self.at(ticket.key, self.now(), |desk| desk.commit(place));
                used.flatten().ok_or(Perished)
            }
        }
    }

    pub(super) fn give_back(&self, ticket: Ticket) {
        match ticket.held {
            Held::Unused(place) => self.leave(ticket.key, place),
            Held::Used(decision) => {
                if let Some(grant) = decision.grant().filter(|grant| grant.cost > 0) {
                    self.at(ticket.key, self.now(), |desk| desk.refund(grant));
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
    #[inline]
    fn at<R>(
        &self,
        key: Fingerprint,
        now: Nanos,
        work: impl FnOnce(&mut Desk<'_, A>) -> R,
    ) -> Option<R> {
        let (result, wakes) = self.lanes.existing(key, |lane| {
            let mut desk = self.desk(lane, now);
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
