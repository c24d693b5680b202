//! A clock that shows another time than its source.

use super::{Clock, Source};
use crate::nanos::Nanos;
use std::sync::Arc;

/// That of a limiter which was restored.
#[derive(Clone, Debug)]
pub(super) struct Shifted(Arc<Shift>);

#[derive(Debug)]
struct Shift {
    /// One that is not shifted itself.
    clock: Clock,
    /// How many nanoseconds more are shown.
    ahead: i64,
}

impl Clock {
    /// The same clock, set so that it shows `now` now; at most 292 years off its source.
    pub(crate) fn showing(self, now: Nanos) -> Self {
        let clock = match &self.source {
            Source::Shifted(shifted) => shifted.clock().clone(),
            _ => self,
        };
        let ahead = i128::from(now.get()) - i128::from(clock.now().get());
        let ahead = i64::try_from(ahead).unwrap_or(if ahead > 0 { i64::MAX } else { i64::MIN });
        Self { source: Source::Shifted(Shifted(Arc::new(Shift { clock, ahead }))) }
    }
}

impl Shifted {
    /// The clock behind it.
    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn now(&self) -> Nanos {
        let shown = self.0.clock.now();
        Nanos::new(shown.get().saturating_add_signed(self.0.ahead))
    }

    /// What the clock behind it shows when it shows `at`.
    pub(super) fn behind(&self, at: Nanos) -> Nanos {
        Nanos::new(at.get().saturating_sub_signed(self.0.ahead))
    }
}
