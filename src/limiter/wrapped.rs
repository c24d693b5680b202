//! Functions that run with a permit only.

use super::{Acquire, Patience, RateLimiter, Terms};
use crate::{algorithm::Algorithm, error::RateLimited};
use std::{fmt, time::Duration};

/// A function that runs only with a permit; made by [`RateLimiter::wrap_fn`].
///
/// [`call`](Self::call) is for asynchronous functions, [`blocking_call`](Self::blocking_call) for
/// the others. By default each call waits as long as it takes. The function has one parameter,
/// which is a tuple where it needs more.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};
///
/// let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_second(10)?).capacity(2)?);
/// let fetch = limiter.wrap_fn(async |path: &str| path.len());
/// assert_eq!(fetch.call("/").await?, 1);
///
/// let parse = limiter.wrap_fn(|text: &str| text.parse::<u8>());
/// assert_eq!(parse.blocking_call("7")??, 7);
/// # Ok(())
/// # }
/// ```
#[must_use = "a function runs when it is called"]
pub struct WrappedFn<A: Algorithm, F> {
    limiter: RateLimiter<A>,
    function: F,
    terms: Terms,
}

impl<A: Algorithm, F> WrappedFn<A, F> {
    pub(super) fn new(limiter: RateLimiter<A>, function: F) -> Self {
        Self { limiter, function, terms: Terms { cost: 1, patience: Patience::Forever } }
    }

    /// Takes this many permits for a call. At a cost of 0 it runs without one.
    pub fn cost(mut self, cost: u32) -> Self {
        self.terms.cost = cost;
        self
    }

    /// Fails at once when the wait would be longer than this, as [`Acquire::max_wait`] does.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.terms.patience = Patience::MaxWait(max_wait);
        self
    }

    /// Waits at most this long, as [`Acquire::timeout`] does.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.terms.patience = Patience::Timeout(timeout);
        self
    }

    /// Calls an asynchronous function once there is a permit.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire`]; the function is not called then.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nothing; once the function was called, the permit is used.
    pub async fn call<X, R>(&self, argument: X) -> Result<R, RateLimited>
    where
        F: AsyncFn(X) -> R,
    {
        let _used = self.acquire().await?;
        Ok((self.function)(argument).await)
    }

    /// Calls a function once there is a permit, and blocks until it has returned.
    ///
    /// It waits as [`Acquire::blocking_wait`] does. An asynchronous function only makes a future
    /// when it is called, and that would run whenever it is polled: use it with
    /// [`call`](Self::call).
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire`]; the function is not called then.
    pub fn blocking_call<X, R>(&self, argument: X) -> Result<R, RateLimited>
    where
        F: Fn(X) -> R,
    {
        let _used = self.acquire().blocking_wait()?;
        Ok((self.function)(argument))
    }

    fn acquire(&self) -> Acquire<'_, A> {
        self.limiter.acquire().terms(self.terms)
    }
}

impl<A: Algorithm, F: Clone> Clone for WrappedFn<A, F> {
    fn clone(&self) -> Self {
        let (limiter, function) = (self.limiter.clone(), self.function.clone());
        Self { limiter, function, terms: self.terms }
    }
}

impl<A: Algorithm, F> fmt::Debug for WrappedFn<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedFn").field("terms", &self.terms).finish_non_exhaustive()
    }
}
