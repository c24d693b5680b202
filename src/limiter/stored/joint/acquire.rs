//! Waiting for permits of several limits in a store, on what terms.

use super::{StoredJointPermit, StoredOnLimits};
use crate::{
    algorithm::AnyAlgorithm,
    error::RateLimited,
    limiter::{Patience, Terms},
    store::Store,
};
use std::{fmt, pin::Pin, time::Duration};

/// Waits for permits of several limits; made by [`StoredOnLimits::acquire`], and awaited or
/// [blocked on](Self::blocking_wait).
///
/// By default it waits as long as it takes.
///
/// # Errors
///
/// [`RateLimited`], in the name of the binding limit, when the permits were not granted on these terms.
///
/// # Cancel safety
///
/// Dropped, it takes nothing: an ask that was not sent is not sent, and permits that were granted go
/// back to the store.
#[must_use = "nothing is asked for until it is awaited"]
pub struct StoredJointAcquire<S: Store<AnyAlgorithm>> {
    call: StoredOnLimits<S>,
    terms: Terms,
}

impl<S: Store<AnyAlgorithm>> StoredJointAcquire<S> {
    pub(super) fn new(call: StoredOnLimits<S>) -> Self {
        Self { call, terms: Terms { cost: 1, patience: Patience::Forever } }
    }

    /// Fails at once when the wait would be longer than this, and takes nothing.
    ///
    /// Where other calls are before it, or calls have to end, the wait is unknown: there it is a
    /// time-out.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.terms.patience = Patience::MaxWait(max_wait);
        self
    }

    /// Waits at most this long, and then fails: it waits even if its turn would come later, as
    /// calls before it may give up.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.terms.patience = Patience::Timeout(timeout);
        self
    }

    /// Waits in this thread. The limiter's runtime has to be running in others.
    ///
    /// # Errors
    ///
    /// As when it is awaited.
    ///
    /// # Panics
    ///
    /// Within a runtime; it belongs in `spawn_blocking` there.
    pub fn blocking_wait(self) -> Result<StoredJointPermit<S>, RateLimited> {
        self.call.block_on(self.terms)
    }
}

impl<S: Store<AnyAlgorithm>> IntoFuture for StoredJointAcquire<S> {
    type Output = Result<StoredJointPermit<S>, RateLimited>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.call.acquire_on(self.terms).await })
    }
}

impl<S: Store<AnyAlgorithm>> fmt::Debug for StoredJointAcquire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredJointAcquire")
            .field("call", &self.call)
            .field("terms", &self.terms)
            .finish()
    }
}
