//! Waiting for permits of a store, on what terms.

use super::super::{Patience, Terms};
use super::{StoredKey, StoredPermit};
use crate::{algorithm::Algorithm, error::RateLimited, store::Store};
use std::{fmt, pin::Pin, time::Duration};

/// Waits for permits; made by [`StoredKey::acquire`], and awaited or [blocked
/// on](Self::blocking_wait).
///
/// By default it asks for one permit and waits as long as it takes. [`StoredKey`] has an example.
///
/// # Errors
///
/// [`RateLimited`] when the permits were not granted on these terms.
///
/// # Cancel safety
///
/// Dropped, it takes nothing: an ask that was not sent is not sent, and permits that were granted
/// go back to the store.
#[must_use = "nothing is asked for until it is awaited"]
pub struct StoredAcquire<A: Algorithm, S: Store<A>> {
    key: StoredKey<A, S>,
    terms: Terms,
}

impl<A: Algorithm, S: Store<A>> StoredAcquire<A, S> {
    pub(super) fn new(key: StoredKey<A, S>) -> Self {
        Self { key, terms: Terms { cost: 1, patience: Patience::Forever } }
    }

    /// Asks for this many permits. A call of cost 0 passes and takes nothing.
    pub fn cost(mut self, cost: u32) -> Self {
        self.terms.cost = cost;
        self
    }

    /// Fails at once when the wait would be longer than this, and takes nothing. Where it is
    /// unknown how long others will [hold](crate::algorithm::Held) their permits, it waits that long.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.terms.patience = Patience::MaxWait(max_wait);
        self
    }

    /// Waits at most this long, and then fails: it waits even if its turn would come later, as
    /// calls before it may give up. In that case it asks the store once more at the end.
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
    pub fn blocking_wait(self) -> Result<StoredPermit<A, S>, RateLimited> {
        self.key.block_on(self.terms)
    }
}

impl<A: Algorithm, S: Store<A>> IntoFuture for StoredAcquire<A, S> {
    type Output = Result<StoredPermit<A, S>, RateLimited>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.key.acquire_on(self.terms).await })
    }
}

impl<A: Algorithm, S: Store<A>> fmt::Debug for StoredAcquire<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAcquire").field("terms", &self.terms).finish_non_exhaustive()
    }
}
