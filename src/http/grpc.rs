//! What a gRPC client sees of a refusal.

use super::{Changed, policy::UNNAMED, refusal::status};
use crate::{
    error::{RateLimited, Reason},
    limiter::Standing,
    reply::Reply,
};
use http::{Response, StatusCode};
use std::{sync::Arc, time::Duration};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

/// Answers refusals as gRPC, by [`resource_exhausted`]; the service keeps the error type of the
/// inner one: for services of tonic, and any other gRPC service over HTTP/2.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_ratelimit::{
///     Rate, RateLimitLayer, SlidingWindow,
///     http::{PeerIp, ResourceExhausted},
/// };
///
/// let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// let layer = RateLimitLayer::per_key(PeerIp::default(), limit).reply(ResourceExhausted);
/// let server = tonic::transport::Server::builder().layer(layer);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
///
/// What else the layer adds to a response, such as
/// [`RateLimitFields`](super::RateLimitFields), is metadata for a gRPC client. Around a client it
/// answers as the server would, without asking it.
///
/// # Who is connected
///
/// tonic's own server keeps the address of a connection in a type of its own. An outer layer hands it
/// on as a [`PeerAddr`](super::PeerAddr): see `examples/tonic_service.rs`. A server by axum keeps it
/// where [`PeerIp`](super::PeerIp) looks for it.
///
/// # Plain routes beside it
///
/// A reply knows nothing of its request. Where one server has plain routes, too, give each kind a layer
/// with the reply of its kind, and both the same limiter:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
/// use tonic::service::Routes;
/// use tower_ratelimit::{
///     KeyedRateLimiter, Rate, RateLimitLayer, SlidingWindow,
///     http::{PeerIp, ResourceExhausted},
/// };
///
/// let limiter = KeyedRateLimiter::new(SlidingWindow::new(Rate::per_minute(60)?));
/// let pages = RateLimitLayer::per_key(PeerIp::default(), limiter.clone());
/// let calls = RateLimitLayer::per_key(PeerIp::default(), limiter).reply(ResourceExhausted);
/// // The services go into it, before it is limited.
/// let grpc = Routes::default().into_axum_router().reset_fallback().layer(calls);
/// let app: Router = Router::new().route("/", get(async || "hello")).layer(pages).merge(grpc);
/// # }
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceExhausted;

impl ResourceExhausted {
    /// Adds a function that may change the response to a refusal, or put another one in its place.
    pub fn change<F, B>(self, change: F) -> Changed<Self, F>
    where
        F: Fn(&RateLimited, &mut Response<B>),
    {
        Changed { reply: self, change }
    }
}

impl<B: Default, E> Reply<Response<B>, E> for ResourceExhausted {
    type Error = E;
    type Note = ();

    #[inline(always)]
    fn note(&self, _: Result<(), &RateLimited>, _: impl Fn(&mut dyn FnMut(Standing<'_>))) {}

    fn refuse(&self, refusal: RateLimited, (): ()) -> Result<Response<B>, E> {
        Ok(resource_exhausted(&refusal).into_http())
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}

/// Returns the status of a call that was not let through, for clients that speak gRPC.
///
/// | where [`too_many_requests`](super::too_many_requests) says | code |
/// |---|---|
/// | 400 Bad Request | 16 `UNAUTHENTICATED` |
/// | 429 Too Many Requests | 8 `RESOURCE_EXHAUSTED` |
/// | 503 Service Unavailable | 14 `UNAVAILABLE` |
/// | 500 Internal Server Error | 13 `INTERNAL` |
///
/// When to come back stands, where that is known, in `google.rpc.RetryInfo` to the nanosecond, and in
/// `grpc-retry-pushback-ms`, which clients with a retry policy obey, in milliseconds, rounded up. That
/// is -1, which keeps them from trying again, where the call would never be let through, or not
/// within the 24 days that the number has room for. A 429 that knows neither has a
/// `google.rpc.QuotaFailure`, as RESOURCE_EXHAUSTED alone could be a message that was too large. The
/// message names the limit, and never says who was refused. The [source](std::error::Error::source) is
/// the refusal itself, and stays on the server.
///
/// ```
/// use tonic::{Request, Response, Status};
/// use tower_ratelimit::{LeakyBucket, RateLimiter, http::resource_exhausted};
///
/// // In a method of a service, without any layer.
/// async fn search(
///     limiter: &RateLimiter<LeakyBucket>,
///     request: Request<String>,
/// ) -> Result<Response<String>, Status> {
///     let cost = request.get_ref().len().try_into().unwrap_or(u32::MAX);
///     limiter.try_acquire_many(cost).map_err(|refusal| resource_exhausted(&refusal))?;
///     Ok(Response::new("found".to_owned()))
/// }
/// ```
#[must_use]
pub fn resource_exhausted(refusal: &RateLimited) -> Status {
    let mut details = ErrorDetails::new();
    if let Some(wait) = refusal.retry_after() {
        details.set_retry_info(Some(wait));
    }
    let mut metadata = MetadataMap::new();
    if let Some(milliseconds) = pushback(refusal) {
        metadata.insert("grpc-retry-pushback-ms", milliseconds.into());
    }
    let (code, message) = (code(refusal.reason()), message(refusal));
    if code == Code::ResourceExhausted && metadata.is_empty() {
        details.add_quota_failure_violation(refusal.limit().unwrap_or(UNNAMED), message.as_str());
    }
    let mut status = Status::with_error_details_and_metadata(code, message, details, metadata);
    status.set_source(Arc::new(refusal.clone()));
    status
}

/// Whose fault it is, as the status of HTTP has it.
fn code(reason: Reason) -> Code {
    match status(reason) {
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        // Unlike 401 it need not name a way to authenticate.
        StatusCode::BAD_REQUEST => Code::Unauthenticated,
        _ => Code::Internal,
    }
}

/// The refusal without what is told elsewhere, or is nobody else's business.
fn message(refusal: &RateLimited) -> String {
    let short = RateLimited::new(refusal.reason()).with_cost(refusal.cost());
    match refusal.limit() {
        Some(name) => short.with_limit(name).to_string(),
        None => short.to_string(),
    }
}

const NEVER: i32 = -1;

/// After how many milliseconds the client may try again; `None` where it may decide that by itself.
fn pushback(refusal: &RateLimited) -> Option<i32> {
    match (refusal.retry_after(), refusal.reason()) {
        (Some(wait), _) => Some(milliseconds(wait).unwrap_or(NEVER)),
        (None, Reason::Exhausted | Reason::TooCostly) => Some(NEVER),
        (None, _) => None,
    }
}

/// Rounded up: never earlier than the true wait. `None` where the number is too small for them.
fn milliseconds(wait: Duration) -> Option<i32> {
    i32::try_from(wait.as_nanos().div_ceil(1_000_000)).ok()
}
