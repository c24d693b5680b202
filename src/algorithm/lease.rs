//! How long calls hold their permits that nobody ends or renews.

use super::LONGEST_SPAN;
use crate::{invalid::Invalid, nanos::Nanos};
use std::time::Duration;

/// A lease of this length, 1 ns to 250 years.
pub(super) fn of_length(lease: Duration) -> Result<Nanos, Invalid> {
    match Nanos::from(lease) {
        length if length > Nanos::ZERO && length <= LONGEST_SPAN => Ok(length),
        _ => Err(Invalid::new("lease", format_args!("{lease:?}"), "1 ns to 250 years")),
    }
}
