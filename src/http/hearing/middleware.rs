//! The pause as a middleware for `reqwest-middleware`.

use super::{Heeding, layer::LONGEST_WAIT, listen::heed};
use crate::{
    http::reqwest_middleware::RateLimitMiddleware,
    limiter::{IntoKeyedLimiter, KeyedRateLimiter, Patience, RateLimiter},
    per_key::KeySource,
};
use ::reqwest::{Request, Response};
use ::reqwest_middleware::{Middleware, Next, Result};
use http::Extensions;
use std::time::Duration;

/// Pauses the requests to a server that says so, and lets them go one after the other from then on.
///
/// It is a [`HeedLayer`](crate::http::HeedLayer) for a `ClientWithMiddleware`: what that one says holds here.
/// Add it after a [`RateLimitMiddleware`], so that it stands inside of it, and after one that tries
/// again. Where reqwest follows a redirect to another origin, what the server there says pauses nobody.
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tower_ratelimit::http::reqwest_middleware::{HeedMiddleware, RateLimitMiddleware};
/// use tower_ratelimit::{LeakyBucket, Rate, http::{Heeding, Host}};
///
/// let rate = Rate::per_second(10)?;
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(RateLimitMiddleware::per_key(Host, LeakyBucket::new(rate)))
///     .with(HeedMiddleware::new(Host, Heeding::new(rate)))
///     .build();
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeedMiddleware<K>(RateLimitMiddleware<K, KeyedRateLimiter<Heeding>>);

impl<K: KeySource<Request>> HeedMiddleware<K> {
    /// Creates a middleware with a pause for each key of this source, such as each
    /// [`Host`](crate::http::Host).
    pub fn new<M, L>(source: K, heeding: L) -> Self
    where
        L: IntoKeyedLimiter<M, Limiter = KeyedRateLimiter<Heeding>>,
    {
        Self(RateLimitMiddleware::per_key(source, heeding).max_wait(LONGEST_WAIT))
    }

    /// Refuses a request at once when it would have to wait at all.
    #[must_use]
    pub fn refuse(self) -> Self {
        self.patience(Patience::Now)
    }

    /// Refuses a request at once when it would have to wait longer than this; ten minutes by
    /// default.
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        self.patience(Patience::MaxWait(max_wait))
    }

    /// Lets a request wait as long as it takes, even if that is a day.
    #[must_use]
    pub fn wait(self) -> Self {
        self.patience(Patience::Forever)
    }

    /// Lets a request wait so long: the same as [`RateLimitLayer::patience`](crate::RateLimitLayer::patience).
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self(self.0.patience(patience))
    }

    /// Not `async`, so that a key need not be `Send`.
    fn server(&self, request: &Request) -> Option<RateLimiter<Heeding>> {
        let key = self.0.source.key(request).ok()?;
        Some(self.0.limiter.key(&key))
    }
}

#[async_trait::async_trait]
impl<K: KeySource<Request> + Send + Sync + 'static> Middleware for HeedMiddleware<K> {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let server = self.server(&request);
        let asked = request.url().origin();
        let mut response = self.0.handle(request, extensions, next).await?;
        // A request that was sent on elsewhere ends at another server, whose limits are its own.
        if let Some(server) = server.filter(|_| response.url().origin() == asked) {
            heed(&server, &mut response);
        }
        Ok(response)
    }
}
