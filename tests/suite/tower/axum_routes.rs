//! Under axum, which applies a layer once for each route and clones its service for each request.

use super::{ms, one_per, until};
use axum::{
    Router,
    body::Body,
    error_handling::HandleErrorLayer,
    extract::Request,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{self, MethodRouter},
};
use std::{convert::Infallible, time::Duration};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_ratelimit::{
    Error, LeakyBucket, RateLimitLayer, RateLimited, RateLimiter, Reason, Respond,
};

const OK: StatusCode = StatusCode::OK;
const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

fn too_many(_: RateLimited) -> Result<Response, Infallible> {
    Ok(TOO_MANY.into_response())
}

type Refusing = RateLimitLayer<
    RateLimiter<LeakyBucket>,
    Respond<fn(RateLimited) -> Result<Response, Infallible>>,
>;

fn one_a_second() -> Refusing {
    RateLimitLayer::new(one_per(1000)).refuse().respond(too_many)
}

async fn ask<S>(service: &S, method: Method, path: &str) -> StatusCode
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let Ok(response) = service.clone().oneshot(request).await;
    response.status()
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn routes_under_one_layer_share_its_limit() {
    let app = Router::new()
        .route("/a", routing::get(async || "a"))
        .route("/b", routing::get(async || "b"))
        .layer(one_a_second());
    let start = Instant::now();
    assert_eq!(ask(&app, Method::GET, "/a").await, OK);
    assert_eq!(ask(&app, Method::GET, "/b").await, TOO_MANY);
    assert_eq!(ask(&app, Method::GET, "/a").await, TOO_MANY);
    until(start, 1000).await;
    assert_eq!(ask(&app, Method::GET, "/b").await, OK);
    assert_eq!(ask(&app, Method::GET, "/a").await, TOO_MANY);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn methods_under_one_layer_share_its_limit() {
    let methods: MethodRouter =
        routing::get(async || "got").post(async || "posted").layer(one_a_second());
    let app = Router::new().route("/", methods);
    assert_eq!(ask(&app, Method::POST, "/").await, OK);
    assert_eq!(ask(&app, Method::GET, "/").await, TOO_MANY);
    assert_eq!(ask(&app, Method::POST, "/").await, TOO_MANY);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn routes_with_a_layer_each_have_a_limit_each() {
    let route = || routing::get(async || "hello").layer(one_a_second());
    let app = Router::new().route("/a", route()).route("/b", route());
    assert_eq!(ask(&app, Method::GET, "/a").await, OK);
    assert_eq!(ask(&app, Method::GET, "/b").await, OK);
    assert_eq!(ask(&app, Method::GET, "/a").await, TOO_MANY);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn routes_under_one_layer_per_key_share_its_limits() {
    let by_query = |request: &Request| request.uri().query().map(str::to_owned);
    let layer = RateLimitLayer::per_key(by_query, one_per(1000)).respond(too_many);
    let app = Router::new()
        .route("/a", routing::get(async || "a"))
        .route("/b", routing::get(async || "b"))
        .layer(layer);
    assert_eq!(ask(&app, Method::GET, "/a?alice").await, OK);
    assert_eq!(ask(&app, Method::GET, "/b?alice").await, TOO_MANY);
    assert_eq!(ask(&app, Method::GET, "/b?bob").await, OK);
    assert_eq!(ask(&app, Method::GET, "/a?bob").await, TOO_MANY);
}

/// Point 16: axum drives readiness inside the response.
#[tokio::test(start_paused = true)]
async fn requests_of_a_layer_that_only_waits_are_answered_in_their_slots() {
    let app = Router::new()
        .route("/a", routing::get(async || "a"))
        .route("/b", routing::get(async || "b"))
        .layer(RateLimitLayer::wait_only(one_per(100)));
    let start = Instant::now();
    let answers: Vec<_> = ["/a", "/b", "/a", "/b"]
        .map(|path| {
            let app = app.clone();
            tokio::spawn(async move { (ask(&app, Method::GET, path).await, start.elapsed()) })
        })
        .into();
    for (slot, answer) in (0..).zip(answers) {
        assert_eq!(answer.await.unwrap(), (OK, ms(slot * 100)));
    }
}

/// Point 16.
#[tokio::test(start_paused = true)]
async fn requests_on_a_server_wait_with_a_maximum_and_in_a_bounded_line() {
    let limiter = RateLimiter::builder(one_per(100)).max_waiting(2).build();
    let answer = |refusal: RateLimited| {
        let status = match refusal.reason() {
            Reason::QueueFull => StatusCode::SERVICE_UNAVAILABLE,
            _ => TOO_MANY,
        };
        Ok::<_, Infallible>(status.into_response())
    };
    let within = |wait| RateLimitLayer::new(limiter.clone()).max_wait(wait).respond(answer);
    let app = Router::new()
        .route("/patient", routing::get(async || "a").layer(within(ms(200))))
        .route("/impatient", routing::get(async || "b").layer(within(ms(150))));
    let start = Instant::now();
    let paths = ["/patient", "/impatient", "/impatient", "/patient", "/patient"];
    let answers = paths.map(|path| {
        let app = app.clone();
        tokio::spawn(async move { (ask(&app, Method::GET, path).await, start.elapsed()) })
    });
    let mut answered = Vec::new();
    for answer in answers {
        answered.push(answer.await.unwrap());
    }
    assert_eq!(answered[0], (OK, Duration::ZERO));
    assert_eq!(answered[1], (OK, ms(100)));
    assert_eq!(answered[2], (TOO_MANY, Duration::ZERO));
    assert_eq!(answered[3], (OK, ms(200)));
    // It would wait 300 ms, and the line is full: either is a reason.
    assert_ne!(answered[4].0, OK);
    assert_eq!(answered[4].1, Duration::ZERO);
}

/// Point 17.
#[tokio::test(start_paused = true)]
async fn refusals_as_errors_reach_a_handler_outside() {
    async fn handle(error: Error<Infallible>) -> StatusCode {
        match error {
            Error::Limited(_) => TOO_MANY,
            Error::Inner(never) => match never {},
        }
    }
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(handle))
        .layer(RateLimitLayer::new(one_per(1000)).refuse());
    let app = Router::new().route("/", routing::get(async || "hello")).layer(layers);
    assert_eq!(ask(&app, Method::GET, "/").await, OK);
    assert_eq!(ask(&app, Method::GET, "/").await, TOO_MANY);
}

/// Point 3: the connection closes, and axum drops the response.
#[tokio::test(start_paused = true)]
async fn a_request_dropped_while_it_waits_gives_up_its_place() {
    let app = Router::new()
        .route("/", routing::get(async || "hello"))
        .layer(RateLimitLayer::wait_only(one_per(100)));
    let start = Instant::now();
    assert_eq!(ask(&app, Method::GET, "/").await, OK);
    let closed = tokio::time::timeout(ms(30), ask(&app, Method::GET, "/"));
    let (closed, next) = tokio::join!(closed, ask(&app, Method::GET, "/"));
    assert!(closed.is_err());
    assert_eq!((next, start.elapsed()), (OK, ms(100)));
}
