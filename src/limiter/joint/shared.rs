//! A limiter without its handle: the lock, and what is done about a call outside of it.

use super::{
    board::{Asked, Board},
    limit::Part,
    take::Taken,
    turn::Turn,
    used::Used,
    verdict::Answer,
    waiting::JointWaiting,
};
use crate::{
    clock::Clock,
    decision::Ask,
    error::Reason,
    events,
    limiter::{Attempt, Perished, Terms, line::Place, settled::Costs},
    nanos::Nanos,
    store::table::Seed,
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
    pub(super) board: Mutex<Board>,
}

/// What becomes of permits the moment they are granted, at this instant and after so long a wait.
pub(super) type TakeOver<T> = fn(&mut Board, Place, Nanos, Nanos) -> Option<T>;

impl Shared {
    /// Works under the lock, and wakes whom that lets go once it is let go.
    ///
    /// The clock is read under the lock, once: whatever was taken before was taken earlier, and all
    /// limits are asked about the same instant. A panic in somebody's algorithm is no reason to
    /// panic in everybody else's calls.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Board, Nanos) -> T) -> T {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut board, self.clock.now());
        let wakes = mem::take(&mut board.wakes);
        drop(board);
        wakes.wake();
        result
    }

    /// The name of the limit that this is a part of.
    pub(super) fn name(&self, part: Part) -> Option<&str> {
        self.names.get(part.lane.limit).map(|name| &**name)
    }

    /// Answers a call that has just come, and uses its permits later.
    pub(super) fn reserve(
        self: &Arc<Self>,
        parts: Vec<Part>,
        terms: Terms,
    ) -> Attempt<Place, JointWaiting> {
        self.ask(parts, terms, Board::keep_unused)
    }

    /// Answers a call that has just come, and uses its permits at once.
    pub(super) fn take(
        self: &Arc<Self>,
        parts: Vec<Part>,
        terms: Terms,
    ) -> Attempt<Used, JointWaiting> {
        self.ask(parts, terms, Board::use_now)
    }

    fn ask<T>(
        self: &Arc<Self>,
        parts: Vec<Part>,
        terms: Terms,
        granted: fn(&mut Board, Vec<Part>, Taken, Nanos) -> T,
    ) -> Attempt<T, JointWaiting> {
        let attempt = self.with(|board, now| match board.ask(now, parts, terms) {
            Asked::Granted(parts, taken) => Ok(Ok(granted(board, parts, taken, now))),
            Asked::Refused(refused) => Ok(Err(refused)),
            Asked::Waits(place, held_up) => Err((place, held_up, board.deadline(place, terms))),
        });
        match attempt {
            Ok(Ok(granted)) => Attempt::Now(Ok(granted)),
            Ok(Err(refused)) => Attempt::Now(Err(refused.tell(&self.names, terms))),
            Err((place, held_up, deadline)) => {
                events::waits(self.name(held_up), held_up.cost);
                let shared = Arc::clone(self);
                Attempt::Later(JointWaiting::new(shared, place, terms, held_up, deadline))
            }
        }
    }

    pub(super) fn peek(&self, parts: Vec<Part>) -> Answer {
        self.with(|board, now| board.peek(now, parts))
    }

    /// Looks how the call at `place` stands; what it has then is for `take_over` to say.
    pub(super) fn poll<T>(
        &self,
        place: Place,
        waker: &Waker,
        deadline: Nanos,
        take_over: TakeOver<T>,
    ) -> Turn<(T, Nanos)> {
        self.with(|board, now| match board.poll(place, now, waker) {
            Turn::Granted(waited) => match take_over(board, place, now, waited) {
                Some(granted) => Turn::Granted((granted, waited)),
                None => Turn::Refused(board.refuse_at(place, Reason::Cancelled, None)),
            },
            Turn::Wait(_) if now >= deadline => Turn::Refused(board.time_out(place, now)),
            Turn::Wait(alarm) => Turn::Wait(alarm.min(deadline)),
            Turn::Refused(refused) => Turn::Refused(refused),
        })
    }

    /// Gives up a place, and whatever was granted there.
    pub(super) fn leave(&self, place: Place) {
        self.with(|board, now| board.leave(place, now));
    }

    pub(super) fn keeps(&self, place: Place) -> bool {
        self.with(|board, now| board.is_fresh(place, now))
    }

    /// Uses permits now, and says how the limits stand then.
    pub(super) fn commit(&self, place: Place) -> Result<Used, Perished> {
        self.with(|board, now| board.commit(place, now, Nanos::ZERO)).ok_or(Perished)
    }

    /// Gives back permits that were used.
    pub(super) fn refund(&self, used: &mut Used) {
        self.with(|board, now| board.settle_used(used, now, Ask::GiveBack));
    }

    /// The call that used these permits has ended.
    pub(super) fn end(&self, used: &mut Used) {
        self.with(|board, now| board.settle_used(used, now, Ask::End));
    }

    /// The call that used these permits has cost so much, as it turned out.
    pub(super) fn settle_costs(&self, used: &mut Used, costs: Costs) {
        self.with(|board, now| board.settle_costs(used, now, costs));
    }

    /// The call that uses these permits goes on. Whether it still has them all.
    pub(super) fn renew(&self, used: &mut Used) -> bool {
        self.with(|board, now| board.renew_used(used, now))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.names).finish()
    }
}
