//! Where the lanes are kept: a single one, or one for each key.

use super::lane::Lane;
use crate::{
    algorithm::Algorithm,
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
    One(Mutex<Lane<A>>),
    Many(Box<Table<Lane<A>>>, AtCapacity),
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
            Lanes::One(lane) => return Ok(work(&mut lock(lane))),
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
            Lanes::One(lane) => Some(work(&mut lock(lane))),
            Lanes::Many(table, _) => table.existing(key, |lane| {
                let result = work(lane);
                lane.tidy();
                result
            }),
        }
    }
}

/// A panic in somebody's algorithm is no reason to panic in everybody else's calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
