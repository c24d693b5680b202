//! How a bound on the calls in flight is written.

use super::line::{Form, Line};
use crate::{algorithm::Concurrency, given::Given, invalid::Invalid, span::Span};
use std::{fmt, str::FromStr, time::Duration};

parameters! {
    /// The parameters of [`Concurrency`].
    InFlight { capacity: Given, } and { lease: Given, }
}

impl TryFrom<InFlight> for Concurrency {
    type Error = Invalid;

    fn try_from(written: InFlight) -> Result<Self, Invalid> {
        let limit = Self::new(written.capacity.permits("capacity")?)?;
        match written.lease {
            Some(lease) => limit.lease(lease.length("lease")?),
            None => Ok(limit),
        }
    }
}

impl From<Concurrency> for InFlight {
    fn from(limit: Concurrency) -> Self {
        let lease = limit.lease.map(Duration::from);
        Self { capacity: Given::plain(limit.capacity), lease: lease.map(Given::span) }
    }
}

/// As it is read: `concurrency 8`, and `, lease 30s` where there is one.
impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "concurrency {}", self.capacity)?;
        match self.lease {
            Some(lease) => write!(f, ", lease {}", Span(lease.into())),
            None => Ok(()),
        }
    }
}

/// As it is printed: `concurrency 8`, and `, lease 30s` where there is one.
impl FromStr for Concurrency {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Form { name: "concurrency", example: "concurrency 8, lease 30s" };
        let mut line = Line::read(form, text)?;
        let written = InFlight { capacity: Given::plain(line.head()), lease: line.length("lease") };
        line.end()?;
        written.try_into()
    }
}
