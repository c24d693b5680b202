//! A refusal's body that programs can read.

use super::{
    Changed, policy,
    refusal::{describe, status},
};
use crate::{
    error::{RateLimited, Reason},
    limiter::Standing,
    reply::Reply,
};
use http::{HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;

/// Answers refusals as [`TooManyRequests`](super::TooManyRequests) does, with a body of type
/// `application/problem+json` (RFC 9457); made by
/// [`TooManyRequests::problem`](super::TooManyRequests::problem).
///
/// | the reason | `type` |
/// |---|---|
/// | a limit, 429 | `https://iana.org/assignments/http-problem-types#quota-exceeded`, and `violated-policies` names the limit |
/// | the store is away, the line is full, the maximum number of keys: 503 | `https://iana.org/assignments/http-problem-types#temporary-reduced-capacity` |
/// | anything else | none |
///
/// It never says who was refused. The body of the service has to come from a `String`, as axum's does and
/// `http_body_util::Full<Bytes>`.
///
/// ```
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_ratelimit::{Quota, RateLimitLayer, RateLimiter, http::TooManyRequests};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let trial = RateLimiter::builder(Quota::new(1)?).name("trial").build();
/// let service = ServiceBuilder::new()
///     .layer(RateLimitLayer::new(trial).refuse().reply(TooManyRequests.problem()))
///     .service(service_fn(async |_: ()| Ok::<_, Infallible>(http::Response::new(String::new()))));
/// service.clone().oneshot(()).await?;
/// let refused = service.oneshot(()).await?;
/// assert_eq!(refused.headers()["content-type"], "application/problem+json");
/// assert!(refused.body().ends_with(r#""status":429,"violated-policies":["trial"]}"#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemDetails(pub(super) ());

const EXCEEDED: &str = concat!(
    r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","#,
    r#""title":"Request cannot be satisfied as assigned quota has been exceeded","#,
);
const REDUCED: &str = concat!(
    r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","#,
    r#""title":"Request cannot be satisfied due to temporary server capacity constraints","#,
);

/// As many fields as a problem has where the limits are told in all forms, with the length that a server
/// adds. Who says what was wrong mostly says that, too, and a map grows after the sixth, which takes
/// longer than the memory that is not used without them.
const MOST: usize = 9;

impl ProblemDetails {
    /// Adds a function that may change the response to a refusal, or put another one in its place.
    pub fn change<F, B>(self, change: F) -> Changed<Self, F>
    where
        F: Fn(&RateLimited, &mut Response<B>),
    {
        Changed { reply: self, change }
    }
}

impl<B: From<String>, E> Reply<Response<B>, E> for ProblemDetails {
    type Error = E;
    /// The body of a refusal.
    type Note = String;

    #[inline]
    fn note(
        &self,
        decided: Result<(), &RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> String {
        match decided {
            Ok(()) => String::new(),
            Err(refusal) => body(refusal, limits),
        }
    }

    fn refuse(&self, refusal: RateLimited, body: String) -> Result<Response<B>, E> {
        let mut response = Response::new(B::from(body));
        response.headers_mut().reserve(MOST);
        describe(&refusal, &mut response);
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok(response)
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}

fn body(refusal: &RateLimited, limits: impl Fn(&mut dyn FnMut(Standing<'_>))) -> String {
    let status = status(refusal.reason());
    match refusal.reason() {
        Reason::UsedUp | Reason::Exhausted | Reason::TooCostly => {
            let mut body = None;
            limits(&mut |limit| {
                body.get_or_insert_with(|| exceeded(status, &policy::name(&limit)));
            });
            body.unwrap_or_else(|| exceeded(status, refusal.limit().unwrap_or(policy::UNNAMED)))
        }
        Reason::Unavailable | Reason::QueueFull | Reason::TooManyKeys => {
            [REDUCED, r#""status":"#, status.as_str(), "}"].concat()
        }
        // Without a type it means what the status means.
        _ => {
            let title = status.canonical_reason().unwrap_or_default();
            [r#"{"title":""#, title, r#"","status":"#, status.as_str(), "}"].concat()
        }
    }
}

/// As long as it is: what is longer is copied, or kept with a count of its own, by who sends it.
fn exceeded(status: StatusCode, name: &str) -> String {
    let (name, violated) = (escaped(name), r#","violated-policies":[""#);
    [EXCEEDED, r#""status":"#, status.as_str(), violated, &name, r#""]}"#].concat()
}

/// The inside of a JSON string.
fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain = |byte| !matches!(byte, b'"' | b'\\' | b'\0'..=b'\x1f');
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(2 * text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            '\0'..='\x1f' => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}
