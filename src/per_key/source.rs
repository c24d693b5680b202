//! Who is asking.

use super::MissingKey;
use crate::{key::Key, limiter::Terms};

/// Finds in a request the key to limit it by, and says how the service replies.
///
/// A function from a request to a key is a source, and its refusals are **errors**: a server that has to
/// answer, as axum does, does not take the layer before it was told how, by
/// [`reply`](super::PerKeyLayer::reply) or [`respond`](super::PerKeyLayer::respond). The sources in
/// [`http`](crate::http) answer with 429 by themselves and keep the error type of the inner service.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, body::Body, routing::get};
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// use tower_ratelimit::{MissingKey, Rate, RateLimitLayer, SlidingWindow, http::TooManyRequests};
///
/// // By the tenant, the first part of the path.
/// let by_tenant = |request: &Request<Body>| match request.uri().path().split('/').nth(1) {
///     Some(tenant) if !tenant.is_empty() => Ok(tenant.to_owned()),
///     _ => Err(MissingKey::anonymous("ask for the pages of a tenant")),
/// };
/// let limit = SlidingWindow::new(Rate::per_minute(1)?);
/// let app: Router = Router::new()
///     .fallback(async || "hello")
///     .layer(RateLimitLayer::per_key(by_tenant, limit).reply(TooManyRequests));
///
/// for (path, status) in [("/a/1", 200), ("/b/1", 200), ("/a/2", 429), ("/", 400)] {
///     let response = app.clone().oneshot(Request::get(path).body(Body::empty())?).await?;
///     assert_eq!(response.status(), StatusCode::from_u16(status)?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// The key must be owned: a part of the request is cloned. A function that may find none returns a
/// `Result` with a [`MissingKey`], as that one does. **An `Option` is a key, too**, and all whose key is
/// `None` share **one** limit: what [`OrShared`](super::OrShared) says aloud.
///
/// Two or three sources in a tuple are one: the key is that of all of them together. The first of
/// them says how refusals are answered.
///
/// ```
/// use tower_ratelimit::{KeySource, MissingKey, http::TooManyRequests};
///
/// /// By the tenant that an authentication layer has found.
/// #[derive(Clone)]
/// struct ByTenant;
///
/// #[derive(Clone)]
/// struct Tenant(u64);
///
/// impl<B> KeySource<http::Request<B>> for ByTenant {
///     type Key = u64;
///     type Reply = TooManyRequests;
///
///     fn key(&self, request: &http::Request<B>) -> Result<u64, MissingKey> {
///         match request.extensions().get::<Tenant>() {
///             Some(tenant) => Ok(tenant.0),
///             None => Err(MissingKey::new("put the authentication layer outside of this one")),
///         }
///     }
///
///     fn reply(&self) -> TooManyRequests {
///         TooManyRequests
///     }
/// }
/// ```
pub trait KeySource<Request>: Clone {
    /// The key.
    type Key: Key;
    /// How the service answers refused calls.
    type Reply;

    /// Says whether its reply adds to responses what another reply in its place would not, as the
    /// header fields of a layer. A [reply](super::PerKeyLayer::reply) that is set later does not
    /// compile then. A source around another one hands this on.
    const ADDS: bool = false;

    /// Finds the key of the request.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when the request has none. It is refused then; behind
    /// [`OrShared`](super::OrShared) all requests that have none share one limit.
    fn key(&self, request: &Request) -> Result<Self::Key, MissingKey>;

    /// Returns how the service answers refused calls.
    fn reply(&self) -> Self::Reply;

    /// Returns the terms of the request: given are one permit and the patience of the layer. A
    /// source around another one has to hand this on, and [`is_exempt`](Self::is_exempt), too.
    fn terms(&self, _request: &Request, terms: Terms) -> Terms {
        terms
    }

    /// Returns whether the request is not limited at all. Its key is not looked for then.
    fn is_exempt(&self, _request: &Request) -> bool {
        false
    }
}

/// A key source with another reply; made by [`PerKeyLayer::reply`](super::PerKeyLayer::reply) and
/// [`PerKeyLayer::respond`](super::PerKeyLayer::respond).
#[derive(Clone, Debug)]
pub struct Answered<K, R> {
    pub(super) source: K,
    pub(super) reply: R,
}

impl<K, R, Request> KeySource<Request> for Answered<K, R>
where
    K: KeySource<Request>,
    R: Clone,
{
    type Key = K::Key;
    type Reply = R;

    const ADDS: bool = {
        assert!(!K::ADDS, "say `fields` after `reply` and `respond`, which would drop them");
        false
    };

    fn key(&self, request: &Request) -> Result<K::Key, MissingKey> {
        self.source.key(request)
    }

    fn reply(&self) -> R {
        self.reply.clone()
    }

    fn terms(&self, request: &Request, terms: Terms) -> Terms {
        self.source.terms(request, terms)
    }

    fn is_exempt(&self, request: &Request) -> bool {
        self.source.is_exempt(request)
    }
}

/// A key source whose requests ask on terms of their own; made by
/// [`PerKeyLayer::terms`](super::PerKeyLayer::terms).
#[derive(Clone, Debug)]
pub struct OnTerms<K, F> {
    pub(crate) source: K,
    pub(crate) terms: F,
}

impl<K, F, Request> KeySource<Request> for OnTerms<K, F>
where
    K: KeySource<Request>,
    F: Fn(&Request, Terms) -> Terms + Clone,
{
    type Key = K::Key;
    type Reply = K::Reply;

    const ADDS: bool = K::ADDS;

    fn key(&self, request: &Request) -> Result<K::Key, MissingKey> {
        self.source.key(request)
    }

    fn reply(&self) -> K::Reply {
        self.source.reply()
    }

    fn terms(&self, request: &Request, terms: Terms) -> Terms {
        (self.terms)(request, self.source.terms(request, terms))
    }

    fn is_exempt(&self, request: &Request) -> bool {
        self.source.is_exempt(request)
    }
}
