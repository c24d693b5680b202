//! How bounds on the calls in flight are written.

use super::line::{Form, Line};
use crate::{
    algorithm::{Concurrency, Serialized},
    given::Given,
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
    span::Span,
};
use std::{fmt, str::FromStr};

parameters! {
    /// The parameters of [`Concurrency`].
    InFlight { capacity: Given, } and { lease: Given, }
}

parameters! {
    /// The parameters of [`Serialized`].
    InTurn { rate: Rate, } and { lease: Given, }
}

/// Where calls have a lease, says so.
fn write_lease(lease: Option<Nanos>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match lease {
        Some(lease) => write!(f, ", lease {}", Span(lease.into())),
        None => Ok(()),
    }
}

fn given(lease: Option<Nanos>) -> Option<Given> {
    lease.map(|lease| Given::span(lease.into()))
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
        Self { capacity: Given::plain(limit.capacity), lease: given(limit.lease) }
    }
}

/// As it is read: `concurrency 8`, and `, lease 30s` where there is one.
impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "concurrency {}", self.capacity)?;
        write_lease(self.lease, f)
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

impl TryFrom<InTurn> for Serialized {
    type Error = Invalid;

    fn try_from(written: InTurn) -> Result<Self, Invalid> {
        let limit = Self::new(written.rate);
        match written.lease {
            Some(lease) => limit.lease(lease.length("lease")?),
            None => Ok(limit),
        }
    }
}

impl From<Serialized> for InTurn {
    fn from(limit: Serialized) -> Self {
        Self { rate: limit.rate, lease: given(limit.lease) }
    }
}

/// As it is read: `serialized 10/s`, and `, lease 30s` where there is one.
impl fmt::Display for Serialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "serialized {}", self.rate)?;
        write_lease(self.lease, f)
    }
}

/// As it is printed: `serialized 10/s`, and `, lease 30s` where there is one.
impl FromStr for Serialized {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Form { name: "serialized", example: "serialized 10/s, lease 30s" };
        let mut line = Line::read(form, text)?;
        let written = InTurn { rate: line.rate()?, lease: line.length("lease") };
        line.end()?;
        written.try_into()
    }
}
