//! How close an algorithm came to its bound.

use super::history::period;
use crate::algorithm::Algorithm;
use std::time::Duration;

/// The report on an algorithm that kept its contract: whether it reached its bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    seed: u64,
    fullest: Vec<Fullest>,
}

/// The fullest window of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fullest {
    /// How long the window is.
    pub length: Duration,
    /// The most calls of cost 1 that a window of this length held.
    pub held: u64,
    /// The most it may hold, as [`most_in`](crate::Algorithm::most_in) says.
    pub most: u64,
}

impl Report {
    pub(super) fn new(seed: u64, algorithm: &impl Algorithm) -> Self {
        let interval = algorithm.interval().get();
        let period = period(algorithm, 0);
        let mut lengths = vec![1, interval, interval.saturating_add(1), period];
        lengths.push(period.saturating_add(1));
        lengths.sort_unstable();
        lengths.dedup();
        let fullest = lengths.into_iter().map(|length| {
            let length = Duration::from_nanos(length);
            Fullest { length, held: 0, most: algorithm.most_in(length) }
        });
        Self { seed, fullest: fullest.collect() }
    }

    /// Counts calls at these instants, in order.
    pub(super) fn count(&mut self, instants: &[u64]) {
        for fullest in &mut self.fullest {
            let mut first = 0;
            for (last, instant) in instants.iter().enumerate() {
                let since = |first: usize| Duration::from_nanos(instant - instants[first]);
                while since(first) >= fullest.length {
                    first += 1;
                }
                fullest.held = fullest.held.max((last - first) as u64 + 1);
            }
        }
    }

    /// Returns the seed by which the histories were chosen.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the fullest windows of some lengths: a nanosecond, the interval and the period of
    /// the first rate, and a nanosecond more than these.
    #[must_use]
    pub fn fullest(&self) -> &[Fullest] {
        &self.fullest
    }

    /// Returns whether one of these windows held as many calls as it may. A bound that is never
    /// reached may be too high, or hard to reach at random.
    #[must_use]
    pub fn reaches_bound(&self) -> bool {
        self.fullest.iter().any(|fullest| fullest.held == fullest.most)
    }
}
