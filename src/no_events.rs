//! What stands in for the events without the `tracing` feature: nothing.

use crate::{error::RateLimited, nanos::Nanos, store::StoreError};

pub(crate) fn refused(_: &RateLimited) {}

pub(crate) fn unenforced(_: &RateLimited) {}

pub(crate) fn waits(_: Option<&str>, _: u32) {}

pub(crate) fn let_go(_: Option<&str>, _: u32, _: Nanos) {}

pub(crate) fn control(_: Option<&str>, _: &'static str) {}

pub(crate) fn left_alone(_: Option<&str>, _: &StoreError) {}

pub(crate) fn answers_again(_: Option<&str>) {}

pub(crate) fn no_key(_: &str) {}
