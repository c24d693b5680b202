//! A limiter without its handle: the lock, and what is done about a call outside of it.

use super::{
    board::{Asked, Board, reason},
    limit::{Facts, Part},
    take::Taken,
    turn::Turn,
    verdict::{Answer, Verdict},
    waiting::JointWaiting,
};
use crate::{
    clock::Clock,
    decision::{Ask, Grant, Outcome},
    error::{RateLimited, Reason},
    events,
    limiter::{Attempt, Perished, Terms, line::Place},
    nanos::Nanos,
    store::memory::Seed,
};
use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

pub(super) struct Shared {
    /// No other limiter of this process has it.
    pub(super) id: u64,
    pub(super) clock: Clock,
    pub(super) seed: Seed,
    pub(super) names: Vec<Arc<str>>,
    pub(super) facts: Arc<[Arc<dyn Facts>]>,
    pub(super) board: Mutex<Board>,
}

/// Permits that were used.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) parts: Vec<Part>,
    /// One for each part, in order.
    pub(super) grants: Vec<Grant>,
    pub(super) binding: Answer,
    /// How long the call stood in line.
    pub(super) waited: Nanos,
}

impl Used {
    /// Without a wait.
    fn new(parts: Vec<Part>, taken: Taken) -> Self {
        let Taken { grants, binding } = taken;
        Self { parts, grants, binding, waited: Nanos::ZERO }
    }
}

impl Shared {
    pub(super) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Works under the lock, and wakes whom that lets go once it is let go.
    ///
    /// The clock is read under the lock, once: whatever was taken before was taken earlier, and all
    /// limits are asked about the same instant. A panic in somebody's algorithm is no reason to
    /// panic in everybody else's calls.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Board, Nanos) -> T) -> T {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut board, self.now());
        let wakes = mem::take(&mut board.wakes);
        drop(board);
        wakes.wake();
        result
    }

    /// Answers a call that has just come, and uses its permits later.
    pub(super) fn reserve(
        self: &Arc<Self>,
        parts: Vec<Part>,
        terms: Terms,
    ) -> Attempt<Place, JointWaiting> {
        self.ask(parts, terms, |board, parts, taken, _| match parts.is_empty() {
            true => Place::FREE,
            false => board.hold(parts, taken),
        })
    }

    /// Answers a call that has just come, and uses its permits at once.
    pub(super) fn take(
        self: &Arc<Self>,
        parts: Vec<Part>,
        terms: Terms,
    ) -> Attempt<Used, JointWaiting> {
        self.ask(parts, terms, |board, parts, taken, now| {
            board.release(&parts, now);
            Used::new(parts, taken)
        })
    }

    fn ask<T>(
        self: &Arc<Self>,
        parts: Vec<Part>,
        terms: Terms,
        granted: impl FnOnce(&mut Board, Vec<Part>, Taken, Nanos) -> T,
    ) -> Attempt<T, JointWaiting> {
        let first = parts.first().map_or(0, |part| part.cost);
        let attempt = self.with(|board, now| match board.ask(now, parts, terms) {
            Asked::Granted(parts, taken) => Ok(Ok(granted(board, parts, taken, now))),
            Asked::Refused(reason, answer) => Ok(Err((reason, answer))),
            Asked::Waits(place) => {
                let parts = board.calls.get(place).map_or(&[][..], |call| &call.parts);
                let holds = parts.iter().any(|part| self.facts[part.lane.limit].holds());
                Err((place, holds, now))
            }
        });
        match attempt {
            Ok(Ok(granted)) => Attempt::Now(Ok(granted)),
            Ok(Err((reason, answer))) => Attempt::Now(Err(self.refusal(reason, answer, terms))),
            Err((place, holds, now)) => {
                events::waits(None, first);
                Attempt::Later(JointWaiting::new(Arc::clone(self), place, terms, now, holds))
            }
        }
    }

    pub(super) fn peek(&self, parts: Vec<Part>) -> Verdict {
        self.with(|board, now| board.peek(now, parts))
    }

    pub(super) fn poll(&self, place: Place, waker: &Waker) -> (Turn, Nanos) {
        self.with(|board, now| (board.poll(place, now, waker), now))
    }

    /// The same for permits that are used the moment they are granted.
    pub(super) fn poll_used(
        &self,
        place: Place,
        waker: &Waker,
        since: Nanos,
    ) -> (Result<Used, Turn>, Nanos) {
        self.with(|board, now| {
            let result = match board.poll(place, now, waker) {
                Turn::Granted => match board.commit(place, now) {
                    Some((parts, taken)) => {
                        Ok(Used { waited: now - since, ..Used::new(parts, taken) })
                    }
                    None => Err(Turn::SentAway(Reason::Cancelled)),
                },
                turn => Err(turn),
            };
            (result, now)
        })
    }

    /// How long the one at `place` would still have to wait.
    pub(super) fn turn_of(&self, place: Place) -> Option<Answer> {
        self.with(|board, now| board.turn_of(place, now)).map(|verdict| verdict.binding)
    }

    /// Gives up a place, and whatever was granted there.
    pub(super) fn leave(&self, place: Place) {
        self.with(|board, now| board.leave(place, now));
    }

    pub(super) fn keeps(&self, place: Place) -> bool {
        place == Place::FREE || self.with(|board, now| board.is_fresh(place, now))
    }

    /// Uses permits now, and says how the limits stand then.
    pub(super) fn commit(&self, place: Place) -> Result<Used, Perished> {
        if place == Place::FREE {
            let binding = Verdict::new([]).binding;
            return Ok(Used::new(Vec::new(), Taken { grants: Vec::new(), binding }));
        }
        let used = self.with(|board, now| board.commit(place, now));
        let (parts, taken) = used.ok_or(Perished)?;
        Ok(Used::new(parts, taken))
    }

    pub(super) fn give_back(&self, place: Place) {
        if place != Place::FREE {
            self.leave(place);
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

    fn settle(&self, used: &Used, ask: fn(Grant) -> Ask) {
        if !used.parts.is_empty() {
            self.with(|board, now| board.settle_used(&used.parts, &used.grants, now, ask));
        }
    }

    /// The call that uses these permits goes on. Whether it still has them all.
    pub(super) fn renew(&self, used: &mut Used) -> bool {
        let renewed = self.with(|board, now| board.renew_held(&used.parts, &mut used.grants, now));
        if !renewed {
            used.parts.clear();
            used.grants.clear();
        }
        renewed
    }

    /// Whether calls with these permits hold some of them until they end.
    pub(super) fn holds(&self, used: &Used) -> bool {
        used.parts.iter().any(|part| self.facts[part.lane.limit].holds())
    }

    /// The error for a call that waits in vain.
    pub(super) fn refusal_for_good(&self, verdict: &Verdict, terms: Terms) -> RateLimited {
        self.refusal(reason(verdict), Some(verdict.binding), terms)
    }

    /// The error for a call that was not let through.
    pub(super) fn refusal(
        &self,
        reason: Reason,
        answer: Option<Answer>,
        terms: Terms,
    ) -> RateLimited {
        let mut refusal = RateLimited::new(reason).with_cost(terms.cost);
        if let Some(answer) = answer {
            refusal = refusal.with_cost(answer.cost);
            if let Some(name) = self.names.get(answer.limit) {
                refusal = refusal.with_limit(Arc::clone(name));
            }
            if let Some(rate) =
                self.facts.get(answer.limit).and_then(|limit| limit.rate(answer.decision.rate))
            {
                refusal = refusal.with_rate(rate);
            }
            if let Outcome::Later(wait) | Outcome::InUse(Some(wait)) = answer.decision.outcome {
                refusal = refusal.with_retry_after(wait.into());
            }
        }
        if let Some(max_wait) = terms.patience.longest() {
            refusal = refusal.with_max_wait(max_wait);
        }
        events::refused(&refusal);
        refusal
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.names.iter().zip(self.facts.iter());
        f.debug_map().entries(limits).finish()
    }
}
