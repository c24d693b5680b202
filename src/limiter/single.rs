//! The lane of a limit for everybody.

use super::{cell::Cell, lane::Lane, rules::Rules};
use crate::{
    algorithm::Algorithm,
    nanos::Nanos,
    sync::{Mutex, MutexGuard},
};
use std::sync::PoisonError;

/// The lane of a limit that has only one.
pub(super) struct Single<A: Algorithm> {
    /// The state, while it can be there.
    cell: Cell,
    locked: Mutex<Locked<A>>,
}

struct Locked<A: Algorithm> {
    rules: Rules<A>,
    lane: Lane<A>,
    /// The state that the last change of the rules left as it was. It is not for everybody before it is
    /// another one, as who found it before would change it by the rules from before.
    withheld: Option<Nanos>,
}

impl<A: Algorithm> Single<A> {
    pub(super) fn new(rules: Rules<A>) -> Self {
        let locked = Locked { rules, lane: Lane::default(), withheld: None };
        let single = Self { cell: Cell::new(), locked: Mutex::new(locked) };
        single.with(|_, _| {});
        single
    }

    pub(super) fn rules(&self) -> Rules<A> {
        lock(&self.locked).rules.clone()
    }

    #[inline(always)]
    pub(super) fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Works on the lane, with its state.
    #[inline(always)]
    pub(super) fn with<T>(&self, work: impl FnOnce(&Rules<A>, &mut Lane<A>) -> T) -> T {
        self.with_all(|locked, _| work(&locked.rules, &mut locked.lane))
    }

    /// The same with rules that change.
    pub(super) fn change(&self, work: impl FnOnce(&mut Rules<A>, &mut Lane<A>)) {
        self.with_all(|locked, found| {
            work(&mut locked.rules, &mut locked.lane);
            locked.withheld = found.or(locked.withheld);
        });
    }

    #[inline(always)]
    fn with_all<T>(&self, work: impl FnOnce(&mut Locked<A>, Option<Nanos>) -> T) -> T {
        let locked = &mut *lock(&self.locked);
        let found = self.cell.take_out();
        if let Some(state) = found {
            locked.lane.resume(state);
        }
        let result = work(locked, found);
        if let Some(state) = locked.lane.at_rest()
            && locked.withheld != Some(state)
        {
            locked.withheld = None;
            self.cell.put_back(state);
        }
        result
    }
}

/// A panic in somebody's algorithm is no reason to panic in everybody else's calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
