//! What a client calls itself.

use crate::{
    http::TooManyRequests,
    per_key::{KeySource, MissingKey},
};
use http::{HeaderName, HeaderValue, Request};

/// Keys requests by one header, such as an API key. Of several lines with the name the first
/// counts.
///
/// Say what happens to requests without the header, where the layer is made. `Header` alone refuses
/// them, as [`Anonymous`](crate::Reason::Anonymous), with 400 unless
/// [`respond`](crate::PerKeyLayer::respond) sets another answer; [`OrShared`](crate::OrShared)
/// around it gives all of them one limit together. They are never let through unlimited.
///
/// Clients that can choose the value can have a fresh limit for each request: take a header that
/// was checked before, or one that a proxy of yours sets. Long values need no more memory than
/// short ones: limits in memory keep a hash of any key, and [stores](crate::store::StoreKey) one of
/// a long key.
///
/// ```
/// use axum::{Router, body::Body, routing::get};
/// use http::{HeaderName, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
/// use tower_ratelimit::{
///     OrShared, Rate, RateLimitLayer, RateLimited, Reason, SlidingWindow,
///     http::{Header, too_many_requests},
/// };
///
/// let by_api_key = Header::new(HeaderName::from_static("x-api-key"));
/// let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// let answer = |refusal: RateLimited| {
///     let mut response = too_many_requests::<Body>(&refusal);
///     if refusal.reason() == Reason::Anonymous {
///         *response.status_mut() = StatusCode::UNAUTHORIZED;
///         response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"));
///     }
///     Ok(response)
/// };
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(RateLimitLayer::per_key(by_api_key.clone(), limit.clone()).respond(answer));
/// // The same with one limit for all who have no key.
/// let layer = RateLimitLayer::per_key(OrShared(by_api_key), limit);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(HeaderName);

impl Header {
    /// Creates a source of the header with this name.
    #[must_use]
    pub fn new(name: HeaderName) -> Self {
        Self(name)
    }
}

impl<B> KeySource<Request<B>> for Header {
    type Key = HeaderValue;
    type Reply = TooManyRequests;

    fn key(&self, request: &Request<B>) -> Result<HeaderValue, MissingKey> {
        let value = request.headers().get(&self.0);
        value.cloned().ok_or(MissingKey::anonymous("send the header that the limit goes by"))
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}
