//! How windows are written.

use super::{
    buckets::write_alignment,
    line::{Form, Line},
};
use crate::{
    algorithm::{FixedWindow, SlidingWindow},
    given::Given,
    invalid::Invalid,
    rate::Rate,
};
use std::{fmt, str::FromStr};

parameters! {
    /// The parameters of [`SlidingWindow`]: one rate, or a list of them.
    Rates {} and { rate: Rate, rates: Vec<Rate>, }
}

parameters! {
    /// The parameters of [`FixedWindow`].
    Aligned { rate: Rate, } and { aligned_to: Given, }
}

impl TryFrom<Rates> for SlidingWindow {
    type Error = Invalid;

    fn try_from(written: Rates) -> Result<Self, Invalid> {
        match (written.rate, written.rates) {
            (Some(rate), None) => Ok(Self::new(rate)),
            (None, Some(rates)) => Self::all(rates),
            (None, None) => Err(Invalid::new("rate", "missing", r#"a rate, or "rates" a list"#)),
            (Some(rate), Some(_)) => {
                Err(Invalid::new("rate", rate, r#"left out where "rates" are given"#))
            }
        }
    }
}

impl From<SlidingWindow> for Rates {
    fn from(limit: SlidingWindow) -> Self {
        match limit.rates() {
            [rate] => Self { rate: Some(*rate), rates: None },
            rates => Self { rate: None, rates: Some(rates.to_vec()) },
        }
    }
}

/// As it is read: `sliding window 10/s` or `sliding window 10/s and 1000/day`.
impl fmt::Display for SlidingWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sliding window")?;
        for (index, rate) in self.rates().iter().enumerate() {
            let before = if index == 0 { "" } else { " and" };
            write!(f, "{before} {rate}")?;
        }
        Ok(())
    }
}

/// As it is printed: `sliding window 10/s` or `sliding window 10/s and 1000/day`.
impl FromStr for SlidingWindow {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Form { name: "sliding window", example: "sliding window 10/s and 1000/day" };
        let line = Line::read(form, text)?;
        let rates: Result<Vec<Rate>, Invalid> =
            line.head().split(" and ").map(str::parse).collect();
        line.end()?;
        Self::all(rates?)
    }
}

impl TryFrom<Aligned> for FixedWindow {
    type Error = Invalid;

    fn try_from(written: Aligned) -> Result<Self, Invalid> {
        let limit = Self::new(written.rate);
        match written.aligned_to {
            Some(instant) => Ok(limit.aligned_to(instant.length("aligned_to")?)),
            None => Ok(limit),
        }
    }
}

impl From<FixedWindow> for Aligned {
    fn from(limit: FixedWindow) -> Self {
        let alignment = limit.bucket.refill.grid.alignment();
        Self { rate: limit.bucket.rate, aligned_to: alignment.map(Given::span) }
    }
}

/// As it is read: `fixed window 60/min`, and `, aligned to 0s` where it is.
impl fmt::Display for FixedWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fixed window {}", self.bucket.rate)?;
        write_alignment(&self.bucket, f)
    }
}

/// As it is printed: `fixed window 60/min`, and `, aligned to 0s` where it is.
impl FromStr for FixedWindow {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Form { name: "fixed window", example: "fixed window 60/min, aligned to 0s" };
        let mut line = Line::read(form, text)?;
        let written = Aligned { rate: line.rate()?, aligned_to: line.length("aligned to") };
        line.end()?;
        written.try_into()
    }
}
