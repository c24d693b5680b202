//! Where the lanes are kept: a single one, or one for each key.

use super::lane::Lane;
use crate::{
    algorithm::Algorithm,
    error::Reason,
    key::Key,
    nanos::Nanos,
    store::memory::{Fingerprint, Full, Table},
};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

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
    One(One<A>),
    Many(Box<Table<Lane<A>>>, AtCapacity),
}

/// A single lane.
pub(super) struct One<A: Algorithm> {
    lane: Mutex<Lane<A>>,
    /// Whether the last who looked found permits for many, and nobody waiting.
    ///
    /// Without anybody looking that can only become truer. A service is then ready without a permit
    /// in hand, and the call takes it: one look at the clock, which costs more than all the rest,
    /// where two would be needed for a permit that is granted, kept, and may have grown too old
    /// when it is used. In the rare case that so many others came in between that there is none
    /// left, the call is like one whose permit has perished.
    plenty: AtomicBool,
}

impl<A: Algorithm> Default for One<A> {
    fn default() -> Self {
        Self { lane: Mutex::new(Lane::default()), plenty: AtomicBool::new(false) }
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

    /// Whether a service may be ready without a permit in hand.
    #[inline(always)]
    pub(super) fn have_plenty(&self) -> bool {
        match self {
            Lanes::One(one) => one.plenty.load(Ordering::Relaxed),
            Lanes::Many(..) => false,
        }
    }

    /// Says so, with the lane locked.
    #[inline(always)]
    pub(super) fn set_plenty(&self, plenty: bool) {
        if let Lanes::One(one) = self
            && one.plenty.load(Ordering::Relaxed) != plenty
        {
            one.plenty.store(plenty, Ordering::Relaxed);
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
            Lanes::One(one) => return Ok(work(&mut lock(&one.lane))),
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
            Lanes::One(one) => Some(work(&mut lock(&one.lane))),
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
