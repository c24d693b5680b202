//! The coarse clock of Linux.

use crate::nanos::Nanos;
use rustix::time::{ClockId, clock_gettime};

/// How long after the start of the system the last tick was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading(u64);

impl Reading {
    #[inline(always)]
    pub(super) fn now() -> Self {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        // Neither is negative, and 584 years fit.
        Self((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64))
    }

    #[inline(always)]
    pub(super) fn since(self, origin: Self) -> Nanos {
        Nanos::new(self.0.saturating_sub(origin.0))
    }
}
