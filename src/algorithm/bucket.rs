//! The arithmetic of limits whose whole state is one instant.

use super::{Algorithm, LeakyBucket, Strict, end_of_time};
use crate::{
    decision::{Decision, Grant, Outcome},
    nanos::Nanos,
};
use std::any::{Any, TypeId};

/// What a [`LeakyBucket`] is to a call that has just come and is let go at once or not at all; so is
/// [`Strict`], which holds one. Limiters in memory decide by it without a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The time one permit takes, at least 1 ns.
    pub(crate) interval: Nanos,
    /// The time in which a full bucket leaks empty: the intervals of all permits that it holds.
    pub(crate) depth: Nanos,
}

/// A call that was let go: all there is to know of it, from which is worked out what it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poured {
    pub(crate) bucket: Bucket,
    pub(crate) grant: Grant,
    pub(crate) empty_at: Nanos,
}

impl Poured {
    /// What the call is told.
    #[inline(always)]
    pub(crate) fn decision(self) -> Decision {
        let Self { bucket, grant, empty_at } = self;
        bucket.standing(Outcome::Granted(grant), empty_at, grant.at)
    }
}

impl Bucket {
    /// Whether algorithms of this type are buckets. Their state is a [`Nanos`] then: the instant at
    /// which the bucket is empty, from which on it equals new.
    #[inline(always)]
    pub(crate) fn is<A: Algorithm>() -> bool {
        let algorithm = TypeId::of::<A>();
        algorithm == TypeId::of::<LeakyBucket>() || algorithm == TypeId::of::<Strict>()
    }

    /// The bucket that an algorithm is, if it is one.
    pub(crate) fn of<A: Algorithm>(algorithm: &A) -> Option<Self> {
        let algorithm: &dyn Any = algorithm;
        match algorithm.downcast_ref::<LeakyBucket>() {
            Some(leaky) => Some(leaky.bucket()),
            None => algorithm.downcast_ref::<Strict>().map(Strict::bucket),
        }
    }

    /// When the bucket would be empty if it could hold this call; `None` at the end of the time line.
    #[inline(always)]
    pub(crate) fn filled(self, empty_at: Nanos, now: Nanos, cost: u32) -> Option<Nanos> {
        empty_at.max(now).checked_add(self.interval * cost)
    }

    /// When the bucket would be empty with this call in it, or why it cannot be.
    #[inline(always)]
    pub(crate) fn pour(self, empty_at: Nanos, now: Nanos, cost: u32) -> Result<Nanos, Outcome> {
        let poured = self.interval * cost;
        match self.filled(empty_at, now, cost) {
            Some(end) if cost == 0 || end - now <= self.depth => Ok(end),
            // However long it waits.
            _ if poured > self.depth => Err(Outcome::Never),
            Some(end) => Err(Outcome::Later(end - now - self.depth)),
            // The end of the time line: nothing more can be remembered, so nothing is let go.
            None => Err(end_of_time(now)),
        }
    }

    /// For how long the bucket is filled in which a call has room after this wait, and not sooner.
    pub(crate) fn filled_before(self, wait: Nanos, cost: u32) -> Nanos {
        wait + (self.depth - self.interval * cost)
    }

    /// What somebody is told about a bucket that is empty then.
    #[inline(always)]
    pub(crate) fn standing(self, outcome: Outcome, empty_at: Nanos, now: Nanos) -> Decision {
        let filled = empty_at - now;
        Decision {
            outcome,
            // At most the capacity, which is a u32.
            limit: (self.depth / self.interval) as u32,
            remaining: ((self.depth - filled) / self.interval) as u32,
            full_after: filled,
            rate: 0,
        }
    }

    /// How it stands when nobody is in line: what is left, and once that is nothing, how a call of
    /// one permit would fare.
    #[inline]
    pub(crate) fn look(self, empty_at: Nanos, now: Nanos) -> Decision {
        let whole = self.standing(Outcome::Granted(Grant { cost: 0, at: now }), empty_at, now);
        match self.pour(empty_at, now, 1) {
            Err(outcome) if whole.remaining == 0 => Decision { outcome, ..whole },
            _ => whole,
        }
    }
}

/// The end of permits that are taken one after another, an interval each, when the interval
/// changes at `now`: those still to come take the new one, on from the last tick before `now`.
pub(super) fn rescale(end: Nanos, before: Nanos, after: Nanos, now: Nanos) -> Nanos {
    if end <= now {
        return end;
    }
    // The last tick may be before the beginning of the time line, when the clock was set back.
    let [end, before, after] = [end, before, after].map(|nanos| u128::from(nanos.get()));
    let outstanding = (end - u128::from(now.get())).div_ceil(before.max(1));
    let end = (end + after * outstanding).saturating_sub(before * outstanding);
    u64::try_from(end).map_or(Nanos::MAX, Nanos::new).max(now)
}
