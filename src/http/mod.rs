//! Limits that speak HTTP: who asks, what a refusal looks like, clients.
//!
//! | for | take |
//! |---|---|
//! | any server, per address | [`PeerIp`], behind proxies [`ClientIp`] |
//! | any server, per API key | [`Header`] |
//! | any server, per user | [`Extension`] |
//! | parts of a key | [`RequestMethod`], `Route` (feature `axum`) |
//! | any server, refusals as 429 | [`TooManyRequests`], [`too_many_requests`] |
//! | gRPC servers, refusals as RESOURCE_EXHAUSTED | `ResourceExhausted`, `resource_exhausted` (feature `tonic`) |
//! | any server, how the limits stand | [`RateLimitFields`] |
//! | calls that end with their response body | [`UntilBodyEnd`] |
//! | clients, per host | [`Host`] |
//! | clients that do as the server says | [`HeedLayer`] |
//! | clients that try again | `RetryPolicy` (feature `retry`) |
//! | reqwest, keeping `client.get(url).send()` | `reqwest::Client` (feature `reqwest`) |
//! | reqwest-middleware | `reqwest_middleware::RateLimitMiddleware` (feature `reqwest-middleware`) |
//!
//! Several sources in a tuple make one key: `(PeerIp::default(), RequestMethod)`. A request without a
//! key is refused: with 500 where the service is set up wrongly, and 400 where the client did not say
//! who it is. Around any source, [`OrShared`](crate::OrShared) gives all requests without a key one
//! limit together. Requests that are [exempt](crate::PerKeyLayer::exempt) are not limited at all.
//!
//! # In front of an axum router
//!
//! `Router::layer` runs a layer after the route was found. What is to hold off a flood stands in front of
//! the router instead: it counts requests for paths that do not exist, too, and a refusal costs the server less than a
//! response does. Routes are not known there: `Route` finds none.
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, ServiceExt, extract::Request, routing::get};
//! use std::net::SocketAddr;
//! use tower::Layer;
//! use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow, http::PeerIp};
//!
//! let limit = SlidingWindow::new(Rate::per_second(100)?);
//! let layer = RateLimitLayer::per_key(PeerIp::default(), limit);
//! let app = layer.layer(Router::new().route("/", get(async || "hello")));
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! let app = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(app);
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```

mod refusal;
mod problem;
mod change;
#[cfg(feature = "tonic")]
mod grpc;
mod policy;
mod number;
mod fields;
mod source;
mod hearing;
mod body_end;
#[cfg(any(feature = "reqwest", feature = "reqwest-middleware"))]
mod reqwest_types;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
pub mod reqwest_middleware;

pub use body_end::{HandOn, HeldBody, HoldBody, HoldBodyFuture, UntilBodyEnd};
pub use change::Changed;
pub use fields::{FieldGeneration, NotedFields, RateLimitFields, WithFields};
#[cfg(feature = "tonic")]
pub use grpc::{ResourceExhausted, resource_exhausted};
#[cfg(feature = "retry")]
pub use hearing::{Backoff, RetryPolicy};
pub use hearing::{
    Heard, HeedLayer, Heeded, Heeding, Left, Listen, ListenFuture, Replay, ResponseHead,
};
pub use problem::ProblemDetails;
pub use refusal::{TooManyRequests, too_many_requests};
#[cfg(feature = "axum")]
pub use source::Route;
pub use source::{
    AddressKey, ClientIp, Extension, Header, Host, PeerAddr, PeerIp, RequestMethod, TrustedProxies,
};
