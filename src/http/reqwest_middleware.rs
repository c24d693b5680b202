//! The limit as a middleware for `reqwest-middleware`.

use crate::{
    limiter::{Attempt, IntoKeyedLimiter, IntoLimiter, Limiter, Patience, Perished, Terms},
    per_key::{KeySource, OnTerms},
};
use ::reqwest::{Request, Response};
use ::reqwest_middleware::{Error, Middleware, Next, Result};
use http::Extensions;
use std::{fmt, time::Duration};

pub use super::hearing::HeedMiddleware;
#[cfg(feature = "retry")]
pub use super::hearing::RetryMiddleware;

/// Takes a permit for each request that passes through a `ClientWithMiddleware`.
///
/// By default it waits for it. A request that is not let through is not sent: it fails
/// with `reqwest_middleware::Error::Middleware`, which downcasts to
/// [`RateLimited`](crate::RateLimited). Put it inside of a retrying middleware (add it after) and
/// every attempt takes a permit; outside, a request takes one however often it is tried.
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tower_ratelimit::{BurstCompensating, Rate, http::reqwest_middleware::RateLimitMiddleware};
///
/// let limit = RateLimitMiddleware::new(BurstCompensating::new(Rate::per_second(10)?));
/// let client = ClientBuilder::new(reqwest::Client::new()).with(limit).build();
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone)]
pub struct RateLimitMiddleware<K, L> {
    pub(super) source: K,
    pub(super) limiter: L,
    patience: Patience,
}

/// All requests are limited together.
fn everybody(_: &Request) {}

impl RateLimitMiddleware<(), ()> {
    /// Limits all requests together, by an algorithm (with fresh state in memory) or a limiter
    /// (whose state is shared with its other users).
    pub fn new<M, L: IntoLimiter<M>>(limiter: L) -> RateLimitMiddleware<fn(&Request), L::Limiter> {
        RateLimitMiddleware {
            source: everybody,
            limiter: limiter.into_limiter(),
            patience: Patience::Forever,
        }
    }

    /// Limits the requests for each key, such as each [`Host`](super::Host).
    pub fn per_key<K, M, L>(source: K, limiter: L) -> RateLimitMiddleware<K, L::Limiter>
    where
        K: KeySource<Request>,
        L: IntoKeyedLimiter<M>,
    {
        RateLimitMiddleware {
            source,
            limiter: limiter.into_keyed_limiter(),
            patience: Patience::Forever,
        }
    }
}

impl<K, L> RateLimitMiddleware<K, L> {
    /// Refuses a request at once when it would have to wait at all.
    #[must_use]
    pub fn refuse(self) -> Self {
        self.patience(Patience::Now)
    }

    /// Refuses a request at once when it would have to wait longer than this.
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        self.patience(Patience::MaxWait(max_wait))
    }

    /// Lets a request wait as long as it takes, as a new middleware does.
    #[must_use]
    pub fn wait(self) -> Self {
        self.patience(Patience::Forever)
    }

    /// Lets a request wait so long: the same as [`RateLimitLayer::patience`](crate::RateLimitLayer::patience).
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Sets the terms of each request by a function: how many permits it takes, and how long it
    /// waits for them. The function is given one permit and the patience of the middleware.
    ///
    /// ```
    /// use reqwest::Request;
    /// use tower_ratelimit::http::{Host, reqwest_middleware::RateLimitMiddleware};
    /// use tower_ratelimit::{LeakyBucket, Rate, Terms};
    ///
    /// // A search costs ten.
    /// let limit = LeakyBucket::new(Rate::per_second(10)?);
    /// let limit = RateLimitMiddleware::per_key(Host, limit)
    ///     .terms(|request: &Request, terms| match request.url().path() {
    ///         "/search" => Terms { cost: 10, ..terms },
    ///         _ => terms,
    ///     });
    /// # let _ = limit;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn terms<F>(self, terms: F) -> RateLimitMiddleware<OnTerms<K, F>, L>
    where
        F: Fn(&Request, Terms) -> Terms,
    {
        let source = OnTerms { source: self.source, terms };
        RateLimitMiddleware { source, limiter: self.limiter, patience: self.patience }
    }
}

impl<K, L> RateLimitMiddleware<K, L>
where
    K: KeySource<Request>,
    L: Limiter,
{
    /// Not `async`, so that a key need not be `Send`.
    fn ask(&self, request: &Request) -> Attempt<L::Hold, L::Wait> {
        let key = match self.source.key(request) {
            Ok(key) => key,
            Err(missing) => return Attempt::Now(Err(missing.refuse())),
        };
        let terms = Terms { cost: 1, patience: self.patience };
        self.limiter.take(&key, self.source.terms(request, terms))
    }
}

#[async_trait::async_trait]
impl<K, L> Middleware for RateLimitMiddleware<K, L>
where
    K: KeySource<Request> + Send + Sync + 'static,
    L: Limiter,
{
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if self.source.is_exempt(&request) {
            return next.run(request, extensions).await;
        }
        let granted = loop {
            let ticket = match self.ask(&request) {
                Attempt::Now(granted) => break granted,
                Attempt::Later(wait) => wait.await,
            };
            match ticket.map(|ticket| self.limiter.commit(ticket)) {
                Ok(Ok(hold)) => break Ok(hold),
                // Woken too late: it asks again.
                Ok(Err(Perished)) => {}
                Err(refusal) => break Err(refusal),
            }
        };
        let _until_the_response = granted.map_err(Error::middleware)?;
        next.run(request, extensions).await
    }
}

impl<K, L: fmt::Debug> fmt::Debug for RateLimitMiddleware<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitMiddleware")
            .field("limiter", &self.limiter)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
