//! How buckets are written.

use super::line::{Form, Line};
use crate::{
    algorithm::{LeakyBucket, Quota, TokenBucket},
    given::Given,
    invalid::Invalid,
    rate::Rate,
    span::Span,
};
use std::{fmt, str::FromStr};

parameters! {
    /// The parameters of [`LeakyBucket`].
    Bucket { rate: Rate, } and { capacity: Given, any_window: Given, }
}

parameters! {
    /// The parameters of [`TokenBucket`].
    Tokens { rate: Rate, } and { capacity: Given, initial: Given, aligned_to: Given, }
}

parameters! {
    /// The parameter of [`Quota`].
    Permits { permits: Given, } and {}
}

impl TryFrom<Bucket> for LeakyBucket {
    type Error = Invalid;

    fn try_from(written: Bucket) -> Result<Self, Invalid> {
        let Bucket { rate, capacity, any_window } = written;
        let capacity = capacity.map(|capacity| capacity.permits("capacity")).transpose()?;
        let any_window = any_window.map(|flag| flag.flag("any_window")).transpose()?;
        match (any_window.unwrap_or(false), capacity) {
            (true, Some(capacity)) => Self::any_window(rate, capacity),
            // The same as for a capacity that is not possible: there is none that goes with all rates.
            (true, None) => {
                let allowed =
                    format_args!("1 to {}, the permits of the rate", rate.permits()).to_string();
                Err(Invalid::new("capacity", "missing", allowed))
            }
            (false, Some(capacity)) => Self::new(rate).capacity(capacity),
            (false, None) => Ok(Self::new(rate)),
        }
    }
}

impl From<LeakyBucket> for Bucket {
    fn from(limit: LeakyBucket) -> Self {
        Self {
            rate: limit.rate,
            capacity: Some(Given::plain(limit.capacity)),
            any_window: limit.any_window.then(|| Given::plain(true)),
        }
    }
}

/// As it is read: `leaky bucket 10/s, capacity 5`, and `, any window` in the strict form.
impl fmt::Display for LeakyBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leaky bucket {}, capacity {}", self.rate, self.capacity)?;
        match self.any_window {
            true => f.write_str(", any window"),
            false => Ok(()),
        }
    }
}

/// As it is printed: `leaky bucket 10/s, capacity 5`, and `, any window` in the strict form. But
/// for that form the capacity may be left out.
impl FromStr for LeakyBucket {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Form { name: "leaky bucket", example: "leaky bucket 10/s, capacity 5" };
        let mut line = Line::read(form, text)?;
        let written = Bucket {
            rate: line.rate()?,
            capacity: line.number("capacity"),
            any_window: line.flag("any window"),
        };
        line.end()?;
        written.try_into()
    }
}

impl TryFrom<Tokens> for TokenBucket {
    type Error = Invalid;

    fn try_from(written: Tokens) -> Result<Self, Invalid> {
        let mut limit = Self::new(written.rate);
        if let Some(capacity) = written.capacity {
            limit = limit.capacity(capacity.permits("capacity")?)?;
        }
        if let Some(initial) = written.initial {
            limit = limit.initial(initial.permits("initial")?)?;
        }
        if let Some(instant) = written.aligned_to {
            limit = limit.aligned_to(instant.length("aligned_to")?);
        }
        Ok(limit)
    }
}

impl From<TokenBucket> for Tokens {
    fn from(limit: TokenBucket) -> Self {
        Self {
            rate: limit.rate,
            capacity: Some(Given::plain(limit.capacity)),
            initial: limit.initial.map(Given::plain),
            aligned_to: limit.refill.grid.alignment().map(Given::span),
        }
    }
}

/// As it is read: `token bucket 5/s, capacity 20`, and, where they are set, `, initial 3` and
/// `, aligned to 250ms`.
impl fmt::Display for TokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token bucket {}, capacity {}", self.rate, self.capacity)?;
        if let Some(initial) = self.initial {
            write!(f, ", initial {initial}")?;
        }
        write_alignment(self, f)
    }
}

/// Where the grid of a bucket is fixed, says so.
pub(super) fn write_alignment(bucket: &TokenBucket, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match bucket.refill.grid.alignment() {
        Some(instant) => write!(f, ", aligned to {}", Span(instant)),
        None => Ok(()),
    }
}

/// As it is printed: `token bucket 5/s, capacity 20, initial 3, aligned to 250ms`. All but the rate
/// may be left out.
impl FromStr for TokenBucket {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Form { name: "token bucket", example: "token bucket 5/s, capacity 20" };
        let mut line = Line::read(form, text)?;
        let written = Tokens {
            rate: line.rate()?,
            capacity: line.number("capacity"),
            initial: line.number("initial"),
            aligned_to: line.length("aligned to"),
        };
        line.end()?;
        written.try_into()
    }
}

impl TryFrom<Permits> for Quota {
    type Error = Invalid;

    fn try_from(written: Permits) -> Result<Self, Invalid> {
        Self::new(written.permits.permits("permits")?)
    }
}

impl From<Quota> for Permits {
    fn from(limit: Quota) -> Self {
        Self { permits: Given::plain(limit.permits) }
    }
}

/// As it is read: `quota 1000`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quota {}", self.permits)
    }
}

/// As it is printed: `quota 1000`.
impl FromStr for Quota {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Form { name: "quota", example: "quota 1000" };
        let line = Line::read(form, text)?;
        let written = Permits { permits: Given::plain(line.head()) };
        line.end()?;
        written.try_into()
    }
}
