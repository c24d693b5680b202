//! Which of several limits is meant.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names one of the limits of a [`JointLimiter`](super::JointLimiter) or a
/// [`StoredJointLimiter`](super::StoredJointLimiter); made as it is added to the builder.
///
/// A number, not a name, so that nothing has to be looked up when a call comes and no name can be
/// mistyped there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitId {
    /// Of which limiter.
    pub(super) of: u64,
    pub(super) index: usize,
}

/// A number that no other limiter of several limits has.
pub(super) fn next_limiter() -> u64 {
    static LIMITERS: AtomicU64 = AtomicU64::new(0);
    LIMITERS.fetch_add(1, Ordering::Relaxed)
}
