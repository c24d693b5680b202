//! Trying again as a middleware for `reqwest-middleware`.

use super::RetryPolicy;
use ::reqwest::{Request, Response};
use ::reqwest_middleware::{Error, Middleware, Next, Result};
use http::Extensions;
use tower::retry::Policy;

/// Tries requests again that a server refused, as a [`RetryPolicy`] says.
///
/// What holds for a `RetryLayer` of tower with that policy holds here. Add it before a
/// [`RateLimitMiddleware`](super::super::reqwest_middleware::RateLimitMiddleware), so that every
/// attempt takes a permit, and before a [`HeedMiddleware`](super::HeedMiddleware). Clones of the
/// policy share its budget.
///
/// ```
/// use reqwest_middleware::ClientBuilder;
/// use tower_ratelimit::http::reqwest_middleware::{HeedMiddleware, RateLimitMiddleware, RetryMiddleware};
/// use tower_ratelimit::{LeakyBucket, Rate, http::{Heeding, Host, RetryPolicy}};
///
/// let rate = Rate::per_second(10)?;
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(RetryMiddleware::new(RetryPolicy::new(3)))
///     .with(RateLimitMiddleware::per_key(Host, LeakyBucket::new(rate)))
///     .with(HeedMiddleware::new(Host, Heeding::new(rate)))
///     .build();
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct RetryMiddleware(RetryPolicy);

impl RetryMiddleware {
    /// Creates a middleware that tries again as the policy says, each request with as many
    /// attempts.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self(policy)
    }
}

#[async_trait::async_trait]
impl Middleware for RetryMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let mut policy = self.0.clone();
        loop {
            let copy = Policy::<_, Response, Error>::clone_request(&mut policy, &request);
            let mut result = next.clone().run(request, extensions).await;
            let Some(mut again) = copy else { return result };
            match policy.retry(&mut again, &mut result) {
                Some(backoff) => {
                    // Unread, it would keep its connection meanwhile.
                    drop(result);
                    backoff.await;
                }
                None => return result,
            }
            request = again;
        }
    }
}
