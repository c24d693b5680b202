//! What stands in for a coarse clock where the system has none: one that is as fine as any.

use crate::nanos::Nanos;
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(super) struct Reading(Instant);

impl Reading {
    #[inline(always)]
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    #[inline(always)]
    pub(super) fn since(self, origin: Self) -> Nanos {
        self.0.saturating_duration_since(origin.0).into()
    }
}
