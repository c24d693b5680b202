//! Promises that `--check` holds the figures to.

use super::Stat;
use std::{fmt, ops::RangeInclusive};

/// Fewer rounds than these say nothing.
const FEWEST_ROUNDS: usize = 5;

/// How far from its floor a row may be where the floor itself is out of the range: a tenth.
const AT_THE_FLOOR: f64 = 1.1;

/// A ratio, one from each round, whose median must be in a range.
pub struct Bound {
    name: String,
    ratio: Stat,
    rounds: usize,
    allowed: RangeInclusive<f64>,
    floor: Option<Stat>,
    /// How far from its floor it may be, where the bound is out of reach.
    out_of_reach: Option<f64>,
}

/// What became of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Held,
    /// The least that can be done misses the bound in the same rounds, and this is hardly more.
    AtTheFloor,
    /// The README shows that it cannot be had, and it is as near to its floor as it says there.
    OutOfReach,
    Missed,
}

impl Bound {
    pub fn new(name: impl Into<String>, ratios: &[f64], allowed: RangeInclusive<f64>) -> Self {
        let (ratio, rounds) = (Stat::of(ratios), ratios.len());
        Self { name: name.into(), ratio, rounds, allowed, floor: None, out_of_reach: None }
    }

    /// A count that comes out the same whenever it is taken; NaN where it could not be.
    pub fn exact(name: impl Into<String>, ratio: f64, allowed: RangeInclusive<f64>) -> Self {
        let exact = Self::new(name, &[ratio], allowed);
        Self { rounds: FEWEST_ROUNDS, ..exact }
    }

    /// The same ratios of a row that does no more than any code has to.
    pub fn with_floor(self, ratios: &[f64]) -> Self {
        let floor = Some(Stat::of(ratios));
        Self { floor, ..self }
    }

    /// The README shows, with what was tried, that the bound cannot be had. In its place the row is held to so
    /// many times its floor.
    pub fn out_of_reach(self, over_floor: f64) -> Self {
        Self { out_of_reach: Some(over_floor), ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn ratio(&self) -> &Stat {
        &self.ratio
    }

    /// That of the floor, if there is one.
    pub fn floor(&self) -> Option<&Stat> {
        self.floor.as_ref()
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

    pub fn verdict(&self) -> Verdict {
        let allows = |stat: &Stat| self.allowed.contains(&stat.median);
        let is_within = |times: f64, floor: &Stat| {
            (1.0 / times..=times).contains(&(self.ratio.median / floor.median))
        };
        let is_at = |floor: &Stat| !allows(floor) && is_within(AT_THE_FLOOR, floor);
        let is_near = |floor: &Stat| self.out_of_reach.is_some_and(|times| is_within(times, floor));
        match self.rounds >= FEWEST_ROUNDS {
            true if allows(&self.ratio) => Verdict::Held,
            true if self.floor().is_some_and(is_at) => Verdict::AtTheFloor,
            true if self.floor().is_some_and(is_near) => Verdict::OutOfReach,
            _ => Verdict::Missed,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, ratio, rounds) = (&self.name, self.ratio.show(3), self.rounds);
        let allowed = self.allowed();
        write!(f, "{name}: {ratio} over {rounds} rounds, allowed is {allowed}")?;
        match self.floor() {
            Some(floor) => write!(f, ", the floor {}", floor.show(3)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::AtTheFloor => "at the floor",
            Self::OutOfReach => "out of reach",
            Self::Missed => "MISSED",
        })
    }
}
