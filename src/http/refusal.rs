//! What a client sees of a refusal.

use crate::{
    error::{RateLimited, Reason},
    limiter::Standing,
    reply::Reply,
};
use http::{HeaderValue, Response, StatusCode, header};
use std::time::Duration;

/// Refusals are answered by [`too_many_requests`], and the service keeps the error type of the
/// inner one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TooManyRequests;

impl<B: Default, E> Reply<Response<B>, E> for TooManyRequests {
    type Error = E;
    type Note = ();

    #[inline(always)]
    fn note(&self, _: Result<(), &RateLimited>, _: impl FnOnce(&mut dyn FnMut(Standing<'_>))) {}

    fn refuse(&self, refusal: RateLimited, (): ()) -> Result<Response<B>, E> {
        Ok(too_many_requests(&refusal))
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}

/// The response to a request that was not let through, with an empty body.
///
/// | the reason | status |
/// |---|---|
/// | [`UsedUp`](Reason::UsedUp), [`Exhausted`](Reason::Exhausted), [`TooCostly`](Reason::TooCostly) | 429 Too Many Requests |
/// | [`QueueFull`](Reason::QueueFull), [`TooManyKeys`](Reason::TooManyKeys), [`Cancelled`](Reason::Cancelled), [`Closed`](Reason::Closed) | 503 Service Unavailable |
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
    *response.status_mut() = match refusal.reason() {
        Reason::NoKey | Reason::UnknownLimit | Reason::NotTogether => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Reason::QueueFull
        | Reason::TooManyKeys
        | Reason::Cancelled
        | Reason::Closed
        | Reason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::UsedUp | Reason::Exhausted | Reason::TooCostly => StatusCode::TOO_MANY_REQUESTS,
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    response
}

/// Rounded up, and at least one: never earlier than the true wait.
fn whole_seconds(wait: Duration) -> u64 {
    let started = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(started).max(1)
}
