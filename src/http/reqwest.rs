//! A reqwest client whose requests are limited.
//!
//! [`reqwest::Client`] is a tower service, so every layer of this crate wraps it
//! as it is. [`Client`] does that and keeps `client.get(url).send()`.
//!
//! A permit is taken for each request that is sent through the client. Redirects that reqwest
//! follows and retries of its own happen inside and are not counted; switch redirects off with
//! [`redirect::Policy::none`](::reqwest::redirect::Policy::none) where that matters, and always with
//! a [`HeedLayer`](super::HeedLayer), which would pause the server that was asked for what the one
//! at the end of them says. Waiting does not count against reqwest's timeouts.
//!
//! # The type of a client
//!
//! It has the service that the layer makes as its parameter. Where that is long, box it: with
//! `.layer(BoxCloneSyncService::layer())` as the outermost of a `ServiceBuilder`.
//!
//! ```
//! use tower::util::BoxCloneSyncService;
//! use tower_ratelimit::{
//!     Error, KeyedRateLimiter, LeakyBucket, RateLimit, RateLimiter,
//!     http::{Host, reqwest::Client}, per_key::PerKey,
//! };
//! use reqwest::{Request, Response};
//!
//! struct Clients {
//!     /// Behind a `RateLimitLayer::new(LeakyBucket::new(rate))`.
//!     together: Client<RateLimit<reqwest::Client, RateLimiter<LeakyBucket>>>,
//!     /// Behind a `RateLimitLayer::per_key(Host, LeakyBucket::new(rate))`.
//!     per_host: Client<PerKey<reqwest::Client, Host, KeyedRateLimiter<LeakyBucket>>>,
//!     /// Behind either of them, or several; each that can refuse adds an `Error<_>`.
//!     boxed: Client<BoxCloneSyncService<Request, Response, Error<reqwest::Error>>>,
//! }
//! # use tower_ratelimit::{Rate, RateLimitLayer};
//! # let (inner, limit) = (reqwest::Client::new(), LeakyBucket::new(Rate::per_second(10)?));
//! # let layers = tower::ServiceBuilder::new()
//! #     .layer(BoxCloneSyncService::layer())
//! #     .layer(RateLimitLayer::new(limit))
//! #     .into_inner();
//! # let _ = Clients {
//! #     together: Client::new(inner.clone(), RateLimitLayer::new(limit)),
//! #     per_host: Client::new(inner.clone(), RateLimitLayer::per_key(Host, limit)),
//! #     boxed: Client::new(inner, layers),
//! # };
//! # Ok::<(), tower_ratelimit::Invalid>(())
//! ```

use crate::error::Error;
use ::reqwest::{IntoUrl, Method, Request, Response};
use std::future::poll_fn;
use tower_layer::Layer;
use tower_service::Service;

/// A [`reqwest::Client`] behind a layer that limits its requests.
///
/// Clones share the limit, and so do clients that are made from clones of one layer.
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer, http::reqwest::Client};
///
/// // Ten a second, bursts of five; the rest wait in line.
/// let layer = RateLimitLayer::new(LeakyBucket::new(Rate::per_second(10)?).capacity(5)?);
/// let client = Client::new(reqwest::Client::new(), layer);
/// let response = client.get("http://127.0.0.1:3000/").send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client<S> {
    client: ::reqwest::Client,
    service: S,
}

impl<S> Client<S>
where
    S: Service<Request, Response = Response> + Clone,
    S::Error: FromReqwest,
{
    /// Limits the requests of `client`: a [`RateLimitLayer`](crate::RateLimitLayer) for all of
    /// them together, or a [`PerKeyLayer`](crate::PerKeyLayer) with a source such as
    /// [`Host`](super::Host).
    #[must_use]
    pub fn new<L>(client: ::reqwest::Client, layer: L) -> Self
    where
        L: Layer<::reqwest::Client, Service = S>,
    {
        let service = layer.layer(client.clone());
        Self { client, service }
    }

    /// Begins a `GET` request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder<S> {
        self.request(Method::GET, url)
    }

    /// Begins a `POST` request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder<S> {
        self.request(Method::POST, url)
    }

    /// Begins a `PUT` request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder<S> {
        self.request(Method::PUT, url)
    }

    /// Begins a `PATCH` request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder<S> {
        self.request(Method::PATCH, url)
    }

    /// Begins a `DELETE` request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder<S> {
        self.request(Method::DELETE, url)
    }

    /// Begins a `HEAD` request.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder<S> {
        self.request(Method::HEAD, url)
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder<S> {
        RequestBuilder { builder: self.client.request(method, url), service: self.service.clone() }
    }

    /// Sends a request once there is a permit for it.
    ///
    /// # Errors
    ///
    /// Those of the layer: [`Error::Limited`] when the request was not let through, and was not
    /// sent, and [`Error::Inner`] for what reqwest says; behind a layer that
    /// [only waits](crate::RateLimitLayer::wait_only), reqwest's error as it is.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nothing.
    pub async fn execute(&self, request: Request) -> Result<Response, S::Error> {
        send(self.service.clone(), request).await
    }
}

/// A request to be sent by a [`Client`].
#[derive(Debug)]
#[must_use = "a request is not sent until `send` is awaited"]
pub struct RequestBuilder<S> {
    builder: ::reqwest::RequestBuilder,
    service: S,
}

impl<S> RequestBuilder<S>
where
    S: Service<Request, Response = Response>,
    S::Error: FromReqwest,
{
    /// Changes the request with reqwest's own builder.
    ///
    /// ```no_run
    /// # use tower_ratelimit::{Rate, RateLimitLayer, Strict, http::reqwest::Client};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let layer = RateLimitLayer::new(Strict::new(Rate::per_second(1)?));
    /// # let client = Client::new(reqwest::Client::new(), layer);
    /// let request = client.post("http://127.0.0.1:3000/");
    /// request.with(|builder| builder.bearer_auth("secret").body("text")).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with(
        self,
        more: impl FnOnce(::reqwest::RequestBuilder) -> ::reqwest::RequestBuilder,
    ) -> Self {
        let builder = more(self.builder);
        Self { builder, ..self }
    }

    /// Adds a header.
    pub fn header(self, name: ::http::HeaderName, value: ::http::HeaderValue) -> Self {
        self.with(|builder| builder.header(name, value))
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<::reqwest::Body>) -> Self {
        self.with(|builder| builder.body(body))
    }

    /// Sends the request once there is a permit for it.
    ///
    /// # Errors
    ///
    /// As [`Client::execute`]. A request that cannot be built takes no permit.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::execute`].
    pub async fn send(self) -> Result<Response, S::Error> {
        let request = self.builder.build().map_err(S::Error::from_reqwest)?;
        send(self.service, request).await
    }
}

/// An error that reqwest's own can be converted into: that itself, or [`Error`] around it.
pub trait FromReqwest {
    #[doc(hidden)]
    fn from_reqwest(error: ::reqwest::Error) -> Self;
}

impl FromReqwest for ::reqwest::Error {
    fn from_reqwest(error: ::reqwest::Error) -> Self {
        error
    }
}

/// Also where several layers stand around each other.
impl<E: FromReqwest> FromReqwest for Error<E> {
    fn from_reqwest(error: ::reqwest::Error) -> Self {
        Error::Inner(E::from_reqwest(error))
    }
}

async fn send<S: Service<Request>>(
    mut service: S,
    request: Request,
) -> Result<S::Response, S::Error> {
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}
