//! What stands in for the events without the `tracing` feature: nothing.

use crate::error::RateLimited;

pub(crate) fn refused(_: &RateLimited) {}

pub(crate) fn waits(_: Option<&str>, _: u32) {}

pub(crate) fn no_key(_: &str) {}
