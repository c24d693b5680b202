//! Promises that `--check` holds the figures to.

use super::Stat;
use std::{fmt, ops::RangeInclusive};

/// Fewer rounds than these say nothing.
const FEWEST_ROUNDS: usize = 5;

/// A ratio, one from each round, whose median must be in a range.
pub struct Bound {
    name: String,
    ratio: Stat,
    rounds: usize,
    allowed: RangeInclusive<f64>,
}

impl Bound {
    pub fn new(name: impl Into<String>, ratios: &[f64], allowed: RangeInclusive<f64>) -> Self {
        Self { name: name.into(), ratio: Stat::of(ratios), rounds: ratios.len(), allowed }
    }

    /// A count that comes out the same whenever it is taken; NaN where it could not be.
    pub fn exact(name: impl Into<String>, ratio: f64, allowed: RangeInclusive<f64>) -> Self {
        Self { name: name.into(), ratio: Stat::of(&[ratio]), rounds: FEWEST_ROUNDS, allowed }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn ratio(&self) -> &Stat {
        &self.ratio
    }

    /// The range, in words.
    pub fn allowed(&self) -> String {
        let (least, most) = (self.allowed.start(), self.allowed.end());
        match (*least == 0.0, *most == f64::INFINITY) {
            (true, _) => format!("at most {most}"),
            (_, true) => format!("at least {least:.3}"),
            _ => format!("{least} to {most}"),
        }
    }

    pub fn is_held(&self) -> bool {
        self.rounds >= FEWEST_ROUNDS && self.allowed.contains(&self.ratio.median)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, ratio, rounds) = (&self.name, self.ratio.show(3), self.rounds);
        let allowed = self.allowed();
        write!(f, "{name}: {ratio} over {rounds} rounds, allowed is {allowed}")
    }
}
