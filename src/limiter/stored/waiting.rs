//! The way to permits of a store, as a future.

use super::ticket::StoredTicket;
use crate::{algorithm::Algorithm, error::RateLimited};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

type Way<A> = Pin<Box<dyn Future<Output = Result<StoredTicket<A>, RateLimited>> + Send>>;

/// Asks a store for permits, and waits for them.
///
/// # Cancel safety
///
/// Dropped, it takes nothing: an ask that was not sent is not sent, and permits that were granted
/// go back to the store.
///
/// # Panics
///
/// When polled outside a tokio runtime with a timer while it needs one, and when polled again after it was ready.
#[must_use = "futures do nothing unless polled"]
pub struct StoredWaiting<A: Algorithm>(Way<A>);

impl<A: Algorithm> StoredWaiting<A> {
    pub(super) fn new(
        way: impl Future<Output = Result<StoredTicket<A>, RateLimited>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(way))
    }
}

impl<A: Algorithm> Future for StoredWaiting<A> {
    type Output = Result<StoredTicket<A>, RateLimited>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<A: Algorithm> fmt::Debug for StoredWaiting<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredWaiting").finish_non_exhaustive()
    }
}
