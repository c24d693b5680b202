//! Where the lanes are kept: a single one, or one for each key.

use super::{lane::Lane, line::Place, promise::Promise};
use crate::{
    algorithm::Algorithm,
    decision::Decision,
    error::Reason,
    key::Key,
    nanos::Nanos,
    store::memory::{Fingerprint, Full, Table},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What becomes of a new key when as many keys as may be kept are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtCapacity {
    /// All keys that find no room share one limit, as if they were a single key.
    #[default]
    ShareOne,
    /// Calls for keys that find no room are refused with
    /// [`TooManyKeys`](crate::Reason::TooManyKeys).
    Refuse,
}

pub(super) enum Lanes<A: Algorithm> {
    One(Single<A>),
    Many(Box<Table<Lane<A>>>, AtCapacity),
}

/// The lane of a limit that has only one.
pub(super) struct Single<A: Algorithm> {
    promise: Promise,
    lane: Mutex<Lane<A>>,
}

impl<A: Algorithm> Single<A> {
    /// The lane, once it knows of a promise that was made.
    #[inline(always)]
    fn lane(&self) -> MutexGuard<'_, Lane<A>> {
        let mut lane = lock(&self.lane);
        self.end_promise(&mut lane);
        lane
    }

    #[inline(always)]
    fn end_promise(&self, lane: &mut Lane<A>) {
        if let Some(place) = self.promise.end() {
            lane.owe(place);
        }
    }

    /// Uses the permits of this place, if that is all there is to do.
    #[inline(always)]
    fn commit_quickly(&self, algorithm: &A, now: Nanos, place: Place) -> Option<Decision> {
        let mut lane = lock(&self.lane);
        let decision = match self.promise.is_to(place) {
            true => lane.take(algorithm, now, 1),
            false => {
                self.end_promise(&mut lane);
                lane.commit_quickly(algorithm, now, place)?
            }
        };
        // Refused only by a clock that was set back, which is for those who take their time.
        decision.grant()?;
        self.promise.renew(lane.has_plenty(algorithm, now, decision.limit));
        Some(decision)
    }
}

impl<A: Algorithm> Default for Single<A> {
    fn default() -> Self {
        Self { promise: Promise::default(), lane: Mutex::default() }
    }
}

impl<A: Algorithm> Lanes<A> {
    /// How the lanes know a key.
    #[inline]
    pub(super) fn fingerprint(&self, key: &(impl Key + ?Sized)) -> Fingerprint {
        match self {
            Lanes::One(_) => Fingerprint::OVERFLOW,
            Lanes::Many(table, _) => table.fingerprint(key),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Lanes::One(_) => 1,
            Lanes::Many(table, _) => table.len(),
        }
    }

    /// Promises one permit of this key, where that can be done without a look at the clock.
    #[inline(always)]
    pub(super) fn promise(&self) -> Option<Place> {
        match self {
            Lanes::One(single) => single.promise.make(),
            Lanes::Many(..) => None,
        }
    }

    /// Uses the permits of this place, if that is all there is to do.
    #[inline(always)]
    pub(super) fn commit_quickly(
        &self,
        algorithm: &A,
        key: Fingerprint,
        now: Nanos,
        place: Place,
    ) -> Option<Decision> {
        match self {
            Lanes::One(single) => single.commit_quickly(algorithm, now, place),
            Lanes::Many(table, _) => {
                entry(table, key, |lane| lane.commit_quickly(algorithm, now, place))?
            }
        }
    }

    /// Takes permits that are used now, if that is all there is to do.
    #[inline(always)]
    pub(super) fn use_quickly(
        &self,
        algorithm: &A,
        key: Fingerprint,
        now: Nanos,
        cost: u32,
    ) -> Option<Decision> {
        match self {
            Lanes::One(single) => single.lane().use_quickly(algorithm, now, cost),
            Lanes::Many(table, _) => {
                entry(table, key, |lane| lane.use_quickly(algorithm, now, cost))?
            }
        }
    }

    /// Takes permits that are used later, if that is all there is to do.
    #[inline(always)]
    pub(super) fn take_quickly(
        &self,
        algorithm: &A,
        key: Fingerprint,
        now: Nanos,
        cost: u32,
    ) -> Option<Place> {
        match self {
            Lanes::One(single) => single.lane().take_quickly(algorithm, now, cost),
            Lanes::Many(table, _) => {
                entry(table, key, |lane| lane.take_quickly(algorithm, now, cost))?
            }
        }
    }

    /// Works on the lane of this key. Where there is no room for it, `key` becomes the one that
    /// such keys share.
    ///
    /// # Errors
    ///
    /// When there is no room, and such keys are refused.
    #[inline]
    pub(super) fn with<R>(
        &self,
        algorithm: &A,
        key: &mut Fingerprint,
        now: Nanos,
        work: impl FnOnce(&mut Lane<A>) -> R,
    ) -> Result<R, Reason> {
        let (table, at_capacity) = match self {
            Lanes::One(single) => return Ok(work(&mut single.lane())),
            Lanes::Many(table, at_capacity) => (table, at_capacity),
        };
        let new_at = |lane: &Lane<A>| lane.new_at(algorithm);
        // Asked for twice at most, and used once.
        let mut work = Some(work);
        let mut once = |lane: &mut Lane<A>| {
            let result = work.take().map(|work| work(lane));
            lane.tidy();
            result
        };
        let mut result = table.entry(*key, now, new_at, Lane::default, &mut once);
        if let (Err(Full), AtCapacity::ShareOne) = (&result, at_capacity) {
            *key = Fingerprint::OVERFLOW;
            result = table.entry(*key, now, new_at, Lane::default, &mut once);
        }
        result.ok().flatten().ok_or(Reason::TooManyKeys)
    }

    /// Forgets the lane of this key if it equals a new one.
    pub(super) fn forget(&self, algorithm: &A, key: Fingerprint, now: Nanos) {
        if let Lanes::Many(table, _) = self {
            table.forget(key, |lane| lane.new_at(algorithm).is_some_and(|at| at <= now));
        }
    }

    /// Works on the lane of this key, if there is one.
    #[inline(always)]
    pub(super) fn existing<R>(
        &self,
        key: Fingerprint,
        work: impl FnOnce(&mut Lane<A>) -> R,
    ) -> Option<R> {
        match self {
            Lanes::One(single) => Some(work(&mut single.lane())),
            Lanes::Many(table, _) => entry(table, key, work),
        }
    }
}

/// Works on the lane of this key, if there is one.
#[inline(always)]
fn entry<A: Algorithm, R>(
    table: &Table<Lane<A>>,
    key: Fingerprint,
    work: impl FnOnce(&mut Lane<A>) -> R,
) -> Option<R> {
    table.existing(key, |lane| {
        let result = work(lane);
        lane.tidy();
        result
    })
}

/// A panic in somebody's algorithm is no reason to panic in everybody else's calls.
#[inline]
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
