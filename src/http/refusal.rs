//! What a client sees of a refusal.

use super::{Changed, ProblemDetails, number};
use crate::{
    error::{RateLimited, Reason},
    limiter::Standing,
    reply::Reply,
};
use http::{HeaderValue, Response, StatusCode, header};
use std::time::Duration;

/// Answers refusals with 429, by [`too_many_requests`]; the service keeps the error type of the
/// inner one.
///
/// A body says more with [`problem`](Self::problem), anything else is added by
/// [`change`](Self::change), and how the limits stand is told by the layer: see
/// [`RateLimitFields`](super::RateLimitFields).
///
/// ```
/// use axum::{Router, body::Body, routing::get};
/// use http::{HeaderValue, Response};
/// use tower_ratelimit::{
///     Rate, RateLimitLayer, RateLimited, SlidingWindow,
///     http::{PeerIp, TooManyRequests},
/// };
///
/// let reply = TooManyRequests.problem().change(|_: &RateLimited, response: &mut Response<Body>| {
///     response.headers_mut().insert("link", HeaderValue::from_static("</prices>; rel=help"));
/// });
/// let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// let layer = RateLimitLayer::per_key(PeerIp::default(), limit).reply(reply);
/// let app: Router = Router::new().route("/", get(async || "hello")).layer(layer);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TooManyRequests;

impl TooManyRequests {
    /// Adds a body that says which limit it was, as `application/problem+json`.
    #[must_use]
    pub fn problem(self) -> ProblemDetails {
        ProblemDetails(())
    }

    /// Adds a function that may change the response to a refusal, or put another one in its place.
    pub fn change<F, B>(self, change: F) -> Changed<Self, F>
    where
        F: Fn(&RateLimited, &mut Response<B>),
    {
        Changed { reply: self, change }
    }
}

impl<B: Default, E> Reply<Response<B>, E> for TooManyRequests {
    type Error = E;
    type Note = ();

    #[inline(always)]
    fn note(&self, _: Result<(), &RateLimited>, _: impl Fn(&mut dyn FnMut(Standing<'_>))) {}

    fn refuse(&self, refusal: RateLimited, (): ()) -> Result<Response<B>, E> {
        Ok(too_many_requests(&refusal))
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}

/// Returns the response to a request that was not let through, with an empty body.
///
/// | the reason | status |
/// |---|---|
/// | [`Anonymous`](Reason::Anonymous) | 400 Bad Request |
/// | [`UsedUp`](Reason::UsedUp), [`Exhausted`](Reason::Exhausted), [`TooCostly`](Reason::TooCostly) | 429 Too Many Requests |
/// | [`QueueFull`](Reason::QueueFull), [`TooManyKeys`](Reason::TooManyKeys), [`Cancelled`](Reason::Cancelled), [`Closed`](Reason::Closed), [`Unavailable`](Reason::Unavailable) | 503 Service Unavailable |
/// | [`NoKey`](Reason::NoKey), [`UnknownLimit`](Reason::UnknownLimit), [`NotTogether`](Reason::NotTogether), a server that is set up wrongly | 500 Internal Server Error |
///
/// `Retry-After` says in whole seconds when to come back, rounded up and at least 1, where that
/// is known. No cache may keep the response.
///
/// ```
/// use http::StatusCode;
/// use std::time::Duration;
/// use tower_ratelimit::{RateLimited, Reason, http::too_many_requests};
///
/// let refusal = RateLimited::new(Reason::UsedUp).with_retry_after(Duration::from_millis(1001));
/// let response: http::Response<String> = too_many_requests(&refusal);
/// assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
/// assert_eq!(response.headers()["retry-after"], "2");
/// ```
#[must_use]
pub fn too_many_requests<B: Default>(refusal: &RateLimited) -> Response<B> {
    let mut response = Response::new(B::default());
    describe(refusal, &mut response);
    response
}

/// Says it in the head of a response that has a body so far.
pub(super) fn describe<B>(refusal: &RateLimited, response: &mut Response<B>) {
    *response.status_mut() = status(refusal.reason());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, number::value(whole_seconds(wait)));
    }
}

/// Whose fault it is.
pub(super) fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::NoKey | Reason::UnknownLimit | Reason::NotTogether => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Reason::QueueFull
        | Reason::TooManyKeys
        | Reason::Cancelled
        | Reason::Closed
        | Reason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // Not 401, which would have to name a way to authenticate.
        Reason::Anonymous => StatusCode::BAD_REQUEST,
        Reason::UsedUp | Reason::Exhausted | Reason::TooCostly => StatusCode::TOO_MANY_REQUESTS,
    }
}

/// Rounded up, and at least one: never earlier than the true wait.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}
