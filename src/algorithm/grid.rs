//! The instants at which permits arrive together.

use crate::nanos::Nanos;
use std::time::Duration;

/// Instants one period apart: in fixed places, or counted on from the one last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) every: Nanos,
    /// The first instant of a grid that is fixed.
    first: Option<Nanos>,
}

impl Grid {
    /// A grid that begins wherever the first tick is set.
    pub(super) fn floating(every: Nanos) -> Self {
        Self { every, first: None }
    }

    /// The same grid in fixed places: `at` is one of its instants.
    pub(super) fn fixed(self, at: Duration) -> Self {
        let first = at.as_nanos() % u128::from(self.every.get().max(1));
        // Less than the period, which is a u64.
        Self { first: Some(Nanos::new(first as u64)), ..self }
    }

    /// The instant at which a grid in fixed places begins.
    pub(super) fn alignment(&self) -> Option<Duration> {
        self.first.map(Duration::from)
    }

    /// The same grid with a period of this length; fixed places are rounded up to microseconds.
    pub(super) fn every_microseconds(&self, every: Nanos) -> Self {
        let grid = Self::floating(every);
        match self.first {
            Some(first) => grid.fixed(first.up_to_microseconds().into()),
            None => grid,
        }
    }

    pub(super) fn is_fixed(&self) -> bool {
        self.first.is_some()
    }

    /// How many instants of a grid that begins with `first` have come.
    fn come(&self, first: Nanos, now: Nanos) -> u64 {
        if now < first { 0 } else { ((now - first) / self.every).saturating_add(1) }
    }

    /// How many ticks come after `tick`, up to and with `now`.
    pub(super) fn passed(&self, tick: Nanos, now: Nanos) -> u64 {
        match self.first {
            Some(first) => self.come(first, now).saturating_sub(self.come(first, tick)),
            None => (now - tick) / self.every,
        }
    }

    /// How many ticks at most came after `at`, up to and with `tick`, when the grid may have begun
    /// anew in between.
    pub(super) fn passed_at_most(&self, at: Nanos, tick: Nanos) -> u64 {
        match self.first {
            Some(_) => self.passed(at, tick),
            None => (tick - at).get().div_ceil(self.every.get().max(1)),
        }
    }

    /// The instant of this many ticks after `tick`, one or more; `None` beyond the time line.
    pub(super) fn after(&self, tick: Nanos, ticks: u64) -> Option<Nanos> {
        let (from, ticks) = match self.first {
            Some(first) => (first, self.come(first, tick).checked_add(ticks)?.saturating_sub(1)),
            None => (tick, ticks),
        };
        let length = self.every.get().checked_mul(ticks)?;
        from.get().checked_add(length).map(Nanos::new)
    }

    /// The tick to count from when nothing is counted yet: `now` itself, or the last one of fixed
    /// places.
    pub(super) fn begin(&self, now: Nanos) -> Nanos {
        let Some(first) = self.first else {
            return now;
        };
        match self.come(first, now) {
            0 => Nanos::ZERO,
            come => Nanos::new(first.get() + (come - 1) * self.every.get()),
        }
    }

    /// The last tick up to `now`, counted from `tick`. A clock that was set back undoes none.
    pub(super) fn last(&self, tick: Nanos, now: Nanos) -> Nanos {
        match self.first {
            Some(_) => self.begin(now).max(tick),
            None => Nanos::new(tick.get() + self.passed(tick, now) * self.every.get()),
        }
    }
}
