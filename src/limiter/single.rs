//! The lane of a limit for everybody, and the permit that is promised there.

use super::{lane::Lane, line::Place, promise::Promise, rules::Rules};
use crate::{algorithm::Algorithm, decision::Decision, nanos::Nanos};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lane of a limit that has only one.
pub(super) struct Single<A: Algorithm> {
    promise: Promise,
    locked: Mutex<(Rules<A>, Lane<A>)>,
}

impl<A: Algorithm> Single<A> {
    pub(super) fn new(rules: Rules<A>) -> Self {
        Self { promise: Promise::default(), locked: Mutex::new((rules, Lane::default())) }
    }

    pub(super) fn rules(&self) -> Rules<A> {
        lock(&self.locked).0.clone()
    }

    /// Promises one permit, where that can be done without a look at the clock.
    #[inline(always)]
    pub(super) fn promise(&self) -> Option<Place> {
        self.promise.make()
    }

    /// Works on the lane, once it knows of a promise that was made.
    #[inline(always)]
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Rules<A>, &mut Lane<A>) -> T) -> T {
        let (rules, lane) = &mut *lock(&self.locked);
        self.end_promise(lane);
        work(rules, lane)
    }

    #[inline(always)]
    fn end_promise(&self, lane: &mut Lane<A>) {
        if let Some(place) = self.promise.end() {
            lane.owe(place);
        }
    }

    /// Uses the permits of this place, if that is all there is to do.
    #[inline(always)]
    pub(super) fn commit_quickly(&self, now: Nanos, place: Place) -> Option<Decision> {
        let (rules, lane) = &mut *lock(&self.locked);
        let decision = match self.promise.is_to(place) {
            true => lane.take(&rules.algorithm, now, 1),
            false => {
                self.end_promise(lane);
                lane.commit_quickly(rules, now, place)?
            }
        };
        // Refused only by a clock that was set back, which is for those who take their time.
        decision.grant()?;
        self.promise.renew(lane.has_plenty(rules, now, decision.limit));
        Some(decision)
    }
}

/// A panic in somebody's algorithm is no reason to panic in everybody else's calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
