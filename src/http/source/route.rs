//! Which route of axum is asked for.

use crate::{
    http::TooManyRequests,
    key::Key,
    per_key::{KeySource, MissingKey},
};
use axum::extract::MatchedPath;
use http::Request;

/// Keys requests by the route that axum has chosen, as written (`/users/{id}`), as a part of a key:
/// `(PeerIp::default(), Route)`.
///
/// Requests that no route was chosen for share one key, as clients can make up paths. A layer
/// outside of the router sees requests before a route is chosen: put it on the router with
/// [`Router::layer`](axum::Router::layer).
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow, http::{PeerIp, Route}};
///
/// // Sixty a minute for each address, on each route.
/// let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// let app: Router = Router::new()
///     .route("/users/{id}", get(async || "a user"))
///     .route("/items/{id}", get(async || "an item"))
///     .layer(RateLimitLayer::per_key((PeerIp::default(), Route), limit));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route;

impl Key for MatchedPath {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        self.as_str().write(out);
    }
}

impl<B> KeySource<Request<B>> for Route {
    type Key = Option<MatchedPath>;
    type Reply = TooManyRequests;

    fn key(&self, request: &Request<B>) -> Result<Option<MatchedPath>, MissingKey> {
        Ok(request.extensions().get().cloned())
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}
