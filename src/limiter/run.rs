//! Running what is limited: futures, functions, tasks.

use super::{Attempt, Patience, Permit, RateLimiter, Terms, WrappedFn};
use crate::{algorithm::Algorithm, error::RateLimited};
use std::future::poll_fn;
use tokio::task::JoinHandle;

impl<A: Algorithm> RateLimiter<A> {
    /// Runs a future once there is a permit for it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); the future is not polled then.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nothing; once the future runs, the permit is used.
    pub async fn wrap<F: Future>(&self, future: F) -> Result<F::Output, RateLimited> {
        let _used = self.acquire().await?;
        Ok(future.await)
    }

    /// Wraps a function that runs only with a permit, each time it is called: see [`WrappedFn`].
    pub fn wrap_fn<F>(&self, function: F) -> WrappedFn<A, F> {
        WrappedFn::new(self.clone(), function)
    }

    /// Gets in line at once, and spawns a task that runs a future when its turn has come. The
    /// handle waits for the result, [`abort`](JoinHandle::abort) takes it out of the line, and
    /// dropping the handle changes nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_ratelimit::{Rate, RateLimiter, Strict};
    ///
    /// let limiter = RateLimiter::builder(Strict::new(Rate::per_second(10)?)).max_waiting(1).build();
    /// let first = limiter.spawn(async { "now" })?;
    /// let second = limiter.spawn(async { "in 100 ms" })?;
    /// limiter.spawn(async { "one too many" }).unwrap_err();
    /// assert_eq!(first.await??, "now");
    /// assert_eq!(second.await??, "in 100 ms");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RateLimited`] when it cannot get in line; later, through the handle, when it was
    /// [cancelled](Self::cancel).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn<F>(
        &self,
        future: F,
    ) -> Result<JoinHandle<Result<F::Output, RateLimited>>, RateLimited>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let terms = Terms { cost: 1, patience: Patience::Forever };
        match self.take_on(&terms, |used| Permit::new(self.shared(), used)) {
            Attempt::Now(Ok(permit)) => {
                // A permit before there is a task, which may be dropped before it runs.
                let permit = permit.into_owned();
                Ok(tokio::spawn(async move {
                    let _used = permit;
                    Ok(future.await)
                }))
            }
            Attempt::Now(Err(refusal)) => Err(refusal),
            Attempt::Later(waiting) => {
                let mut waiting = Box::pin(waiting);
                let limiter = self.clone();
                Ok(tokio::spawn(async move {
                    let used = poll_fn(|cx| waiting.as_mut().poll_used(cx)).await?;
                    drop(waiting);
                    let _used = Permit::new(limiter.shared(), used);
                    Ok(future.await)
                }))
            }
        }
    }
}
