//! Who is asking, as any HTTP request can say.

use super::TooManyRequests;
use crate::{
    per_key::{KeySource, MissingKey},
    reply::Fail,
};
use http::{HeaderName, HeaderValue, Request};

/// The value of one header, such as an API key.
///
/// Requests without the header share one limit. Of several lines with the name the first counts.
/// The key is an `Option<HeaderValue>`: to ask a [`KeyedRateLimiter`](crate::KeyedRateLimiter)
/// about it elsewhere, write `limiter.key(&Some("the value"))`.
///
/// Whoever can choose the value can have a fresh limit for each
/// request: take a header that was checked before, or one that a proxy of yours sets.
///
/// ```
/// use axum::{Router, routing::get};
/// use http::HeaderName;
/// use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow, http::Header};
///
/// let by_api_key = Header::new(HeaderName::from_static("x-api-key"));
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(RateLimitLayer::per_key(by_api_key, SlidingWindow::new(Rate::per_minute(60)?)));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(HeaderName);

impl Header {
    /// The header with this name.
    #[must_use]
    pub fn new(name: HeaderName) -> Self {
        Self(name)
    }
}

impl<B> KeySource<Request<B>> for Header {
    type Key = Option<HeaderValue>;
    type Reply = TooManyRequests;

    fn key(&self, request: &Request<B>) -> Result<Self::Key, MissingKey> {
        Ok(request.headers().get(&self.0).cloned())
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}

/// The host and port a client's request goes to, for a limit on each server it talks to.
///
/// Refusals are errors, as for any client.
///
/// ```
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer, http::Host};
///
/// // Two a second to each host; what is above that waits.
/// let layer = RateLimitLayer::per_key(Host, LeakyBucket::new(Rate::per_second(2)?)).wait();
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host;

impl<B> KeySource<Request<B>> for Host {
    type Key = (String, Option<u16>);
    type Reply = Fail;

    fn key(&self, request: &Request<B>) -> Result<Self::Key, MissingKey> {
        let uri = request.uri();
        let host = uri.host().ok_or(MissingKey::new("give the request an absolute URI"))?;
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        });
        Ok((host.to_ascii_lowercase(), port))
    }

    fn reply(&self) -> Fail {
        Fail
    }
}
