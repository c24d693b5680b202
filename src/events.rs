//! Events, as `tracing` sees them. Keys are never in them.

use crate::{error::RateLimited, nanos::Nanos, store::StoreError};
use std::error::Error;

/// A call was not let through.
pub(crate) fn refused(refusal: &RateLimited) {
    tracing::debug!(
        limit = refusal.limit(),
        reason = ?refusal.reason(),
        cost = refusal.cost(),
        retry_after = ?refusal.retry_after(),
        "rate limited"
    );
}

/// A call that was not let through passes all the same.
pub(crate) fn unenforced(refusal: &RateLimited) {
    tracing::debug!(
        limit = refusal.limit(),
        reason = ?refusal.reason(),
        cost = refusal.cost(),
        retry_after = ?refusal.retry_after(),
        "let through though rate limited"
    );
}

/// A call got in line.
pub(crate) fn waits(limit: Option<&str>, cost: u32) {
    tracing::trace!(limit, cost, "waiting for permits");
}

/// A call was let go that stood in line.
pub(crate) fn let_go(limit: Option<&str>, cost: u32, waited: Nanos) {
    tracing::trace!(limit, cost, ?waited, "let go after waiting for permits");
}

/// A limit was changed while in use.
pub(crate) fn control(limit: Option<&str>, action: &'static str) {
    tracing::info!(limit, action, "took hold of a limit");
}

/// A store fails so often that nobody asks it for a while.
pub(crate) fn left_alone(limit: Option<&str>, error: &StoreError) {
    tracing::warn!(limit, error = error.source(), "the store is left alone for a while");
}

/// A store that was left alone has answered.
pub(crate) fn answers_again(limit: Option<&str>) {
    tracing::info!(limit, "the store answers again");
}

/// A request did not say for whom to limit it.
pub(crate) fn no_key(what_to_do: &str) {
    tracing::error!("no key to limit a request by: {what_to_do}");
}
