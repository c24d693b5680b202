//! The two limits that decisions are measured with, for every crate alike.

use std::time::Duration;
use tower_ratelimit::{LeakyBucket, Rate};

/// How often one may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// More often than the run lasts.
    Ample,
    /// Once an hour, which is gone before anything is measured.
    Gone,
}

impl Limit {
    /// How long a permit takes, and how many can be had at once.
    pub fn quota(self) -> (Duration, u32) {
        match self {
            Limit::Ample => (Duration::from_nanos(1), 1_000_000_000),
            Limit::Gone => (Duration::from_secs(3600), 1),
        }
    }

    /// The same for this crate.
    pub fn bucket(self) -> LeakyBucket {
        let (period, burst) = self.quota();
        let rate = Rate::new(1, period).expect("one permit takes a nanosecond at least");
        LeakyBucket::new(rate).capacity(burst).expect("the bucket leaks empty within 250 years")
    }
}
