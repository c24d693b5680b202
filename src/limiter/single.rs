//! The lane of a limit for everybody.

use super::{cell::Cell, lane::Lane, rules::Rules};
use crate::{
    algorithm::Algorithm,
    sync::{Mutex, MutexGuard},
};
use std::sync::PoisonError;

/// The lane of a limit that has only one.
pub(super) struct Single<A: Algorithm> {
    /// The state, while it can be there.
    cell: Cell,
    locked: Mutex<(Rules<A>, Lane<A>)>,
}

impl<A: Algorithm> Single<A> {
    pub(super) fn new(rules: Rules<A>) -> Self {
        let single = Self { cell: Cell::new(), locked: Mutex::new((rules, Lane::default())) };
        single.with(|_, _| {});
        single
    }

    pub(super) fn rules(&self) -> Rules<A> {
        lock(&self.locked).0.clone()
    }

    #[inline(always)]
    pub(super) fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Works on the lane, with its state.
    #[inline(always)]
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Rules<A>, &mut Lane<A>) -> T) -> T {
        let (rules, lane) = &mut *lock(&self.locked);
        if let Some(state) = self.cell.take_out() {
            lane.resume(state);
        }
        let result = work(rules, lane);
        if let Some(state) = lane.at_rest() {
            self.cell.put_back(state);
        }
        result
    }
}

/// A panic in somebody's algorithm is no reason to panic in everybody else's calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
