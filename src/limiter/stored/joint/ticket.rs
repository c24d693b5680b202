//! Permits of several limits in a store that were granted and not used yet, and the way to them.

use super::super::{super::joint::verdict::Answer, ticket::Taken};
use crate::{
    algorithm::AnyAlgorithm,
    error::RateLimited,
    limiter::{JointTicket, OnLimits},
    nanos::Nanos,
};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// Permits granted by a [`StoredJointLimiter`](super::StoredJointLimiter), and not used yet.
#[must_use = "permits are committed or given back"]
pub struct StoredJointTicket {
    pub(super) from: From,
    /// When they could be used first, by the clock of this process.
    pub(super) at: Nanos,
    /// How long the call waited for them.
    pub(super) waited: Nanos,
}

/// Who granted permits.
pub(super) enum From {
    /// The store, and how the binding limit stood.
    Store(Vec<Taken<AnyAlgorithm>>, Answer),
    /// The limits in this process, as the store did not answer.
    Local(OnLimits, JointTicket),
    /// Nobody: nothing was taken.
    Nobody,
}

impl StoredJointTicket {
    /// What lets a call pass for which nothing was taken.
    pub(super) fn free(now: Nanos) -> Self {
        Self { from: From::Nobody, at: now, waited: Nanos::ZERO }
    }
}

impl fmt::Debug for StoredJointTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredJointTicket").field("at", &self.at).finish_non_exhaustive()
    }
}

type Way = Pin<Box<dyn Future<Output = Result<StoredJointTicket, RateLimited>> + Send>>;

/// Asks a store for permits of several limits, and waits for them.
///
/// # Cancel safety
///
/// Dropped, it takes nothing: an ask that was not sent is not sent, and permits that were granted go
/// back to the store.
///
/// # Panics
///
/// When polled outside a tokio runtime with a timer while it needs one, and when polled again after it was ready.
#[must_use = "futures do nothing unless polled"]
pub struct StoredJointWaiting(Way);

impl StoredJointWaiting {
    pub(super) fn new(
        way: impl Future<Output = Result<StoredJointTicket, RateLimited>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(way))
    }
}

impl Future for StoredJointWaiting {
    type Output = Result<StoredJointTicket, RateLimited>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for StoredJointWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredJointWaiting").finish_non_exhaustive()
    }
}
