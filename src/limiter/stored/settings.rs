//! How a store is asked.

use crate::{clock::Clock, invalid::Invalid, nanos::Nanos};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(1);
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
const MAX_ASKS: usize = 100_000;
const MAX_BATCH: usize = 1_024;

/// What a limiter over a store is built with, whatever it limits.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) deadline: Nanos,
    pub(super) max_asks: usize,
    /// How many calls travel together.
    pub(super) max_batch: usize,
    /// At each key.
    pub(super) max_waiting: usize,
    /// After so many failures in a row nobody asks.
    pub(super) failures: u32,
    /// For this long.
    pub(super) pause: Nanos,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock: Clock::default(),
            deadline: DEADLINE.into(),
            max_asks: MAX_ASKS,
            max_batch: MAX_BATCH,
            max_waiting: usize::MAX,
            failures: FAILURES,
            pause: PAUSE.into(),
        }
    }
}

impl Settings {
    pub(super) fn set_deadline(&mut self, deadline: Duration) -> Result<(), Invalid> {
        self.deadline = positive("deadline", deadline)?;
        Ok(())
    }

    pub(super) fn set_breaker(&mut self, failures: u32, pause: Duration) -> Result<(), Invalid> {
        if failures == 0 {
            return Err(Invalid::new("failures", failures, "at least 1"));
        }
        self.pause = positive("pause", pause)?;
        self.failures = failures;
        Ok(())
    }

    pub(super) fn set_max_asks(&mut self, asks: usize) -> Result<(), Invalid> {
        self.max_asks = at_least_1("max_asks", asks)?;
        Ok(())
    }

    pub(super) fn set_max_batch(&mut self, calls: usize) -> Result<(), Invalid> {
        self.max_batch = at_least_1("max_batch", calls)?;
        Ok(())
    }
}

fn at_least_1(parameter: &'static str, number: usize) -> Result<usize, Invalid> {
    match number {
        0 => Err(Invalid::new(parameter, number, "at least 1")),
        _ => Ok(number),
    }
}

fn positive(parameter: &'static str, span: Duration) -> Result<Nanos, Invalid> {
    match span.is_zero() {
        true => Err(Invalid::new(parameter, "0 s", "longer than that")),
        false => Ok(span.into()),
    }
}
