//! Clients that do as the server says, over real sockets.

use super::{Server, direct, eventually};
use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::get,
};
use reqwest_middleware::ClientBuilder;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tower::{ServiceBuilder, retry::RetryLayer};
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, ManualClock, Patience, Rate, RateLimitLayer, RateLimited,
    RateLimiter, Reason, Terms,
    http::{
        HeedLayer, Heeding, Host, RetryPolicy,
        reqwest::Client,
        reqwest_middleware::{HeedMiddleware, RateLimitMiddleware, RetryMiddleware},
    },
};

/// A server whose first response is a refusal, and how many requests have arrived.
async fn refuses_once(retry_after: &'static str) -> (Server, Arc<AtomicUsize>) {
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let app = Router::new().fallback(async move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", retry_after)]).into_response(),
        _ => "hello".into_response(),
    });
    (Server::start(app).await, arrived)
}

fn rate() -> Rate {
    Rate::per_second(10).unwrap()
}

fn limiter(clock: &ManualClock) -> KeyedRateLimiter<Heeding> {
    KeyedRateLimiter::builder(Heeding::new(rate())).clock(clock.clone()).build()
}

/// The pause of a server as a client knows it.
fn pause_of(limiter: &KeyedRateLimiter<Heeding>, server: &Server) -> RateLimiter<Heeding> {
    let url = reqwest::Url::parse(&server.url("/")).unwrap();
    limiter.key(&(url.host_str().unwrap().to_owned(), url.port()))
}

/// Sends one request that is refused, and three more that wait for the pause and leave it one
/// after the other.
async fn pauses<F: Future<Output = u16> + Send + 'static>(
    clock: ManualClock,
    limiter: KeyedRateLimiter<Heeding>,
    (server, arrived): (Server, Arc<AtomicUsize>),
    send: impl Fn(String) -> F,
) {
    assert_eq!(send(server.url("/")).await, 429);
    let pause = pause_of(&limiter, &server);
    assert_eq!(pause.peek(1).retry_after(), Some(Duration::from_secs(2)));
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(send(server.url("/")))).collect();
    let behind_three = Some(Duration::from_millis(2300));
    eventually("three stand in line", || pause.peek(1).retry_after() == behind_three).await;
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
    for (sent, step) in [(2, 2000), (3, 100), (4, 100)] {
        clock.advance(Duration::from_millis(step));
        eventually("it was sent", || arrived.load(Ordering::SeqCst) == sent).await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(arrived.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_reqwest_client_pauses() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let client = Client::new(direct(), HeedLayer::new(Host, limiter.clone()));
    let send = move |url: String| {
        let request = client.clone().get(url);
        async { request.send().await.unwrap().status().as_u16() }
    };
    pauses(clock, limiter, refuses_once("2").await, send).await;
}

#[tokio::test]
async fn a_reqwest_middleware_client_pauses() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock);
    let client =
        ClientBuilder::new(direct()).with(HeedMiddleware::new(Host, limiter.clone())).build();
    let send = move |url: String| {
        let request = client.get(url);
        async { request.send().await.unwrap().status().as_u16() }
    };
    pauses(clock, limiter, refuses_once("2").await, send).await;
}

/// A server that sends its clients on, but for those who ask for `/here`.
async fn sends_on(to: String) -> Server {
    let app = Router::new().route("/here", get(async || "hello"));
    Server::start(app.fallback(async move || Redirect::temporary(&to))).await
}

/// It was once the server that was asked which paused.
#[tokio::test]
async fn what_the_server_says_that_a_request_was_sent_on_to_pauses_no_other_one() {
    let (elsewhere, _) = refuses_once("600").await;
    let server = sends_on(elsewhere.url("/")).await;
    let limiter = limiter(&ManualClock::new());
    let client = ClientBuilder::new(direct())
        .with(HeedMiddleware::new(Host, limiter.clone()).refuse())
        .build();
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 429);
    assert_eq!(client.get(server.url("/here")).send().await.unwrap().status(), 200);
    // Its own clients find out by themselves.
    assert!(pause_of(&limiter, &elsewhere).peek(1).is_granted());
}

#[tokio::test]
async fn what_a_server_says_that_has_sent_a_request_on_to_itself_is_heeded() {
    let app = Router::new()
        .route("/", get(async || Redirect::temporary("/there")))
        .route("/there", get(async || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "600")])));
    let server = Server::start(app).await;
    let limiter = limiter(&ManualClock::new());
    let client =
        ClientBuilder::new(direct()).with(HeedMiddleware::new(Host, limiter.clone())).build();
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 429);
    let pause = pause_of(&limiter, &server).peek(1).retry_after();
    assert_eq!(pause, Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn a_reqwest_middleware_client_fails_at_once_where_the_pause_is_too_long() {
    let (server, arrived) = refuses_once("601").await;
    let limit = RateLimitMiddleware::new(LeakyBucket::new(rate()));
    let client = ClientBuilder::new(direct())
        .with(limit)
        .with(HeedMiddleware::new(Host, Heeding::new(rate())))
        .build();
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 429);
    let refused: RateLimited = match client.get(server.url("/")).send().await.unwrap_err() {
        reqwest_middleware::Error::Middleware(error) => error.downcast().unwrap(),
        reqwest_middleware::Error::Reqwest(error) => panic!("{error}"),
    };
    assert_eq!(refused.reason(), Reason::UsedUp);
    assert!(refused.retry_after().is_some_and(|wait| wait > Duration::from_secs(600)));
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn limits_per_host_and_per_route_the_pause_and_retries_stand_around_one_reqwest_client() {
    let (server, arrived) = refuses_once("0").await;
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(rate()).capacity(10).unwrap();
    let hosts = KeyedRateLimiter::builder(bucket).clock(clock.clone()).build();
    let routes = KeyedRateLimiter::builder(bucket).clock(clock.clone()).build();
    let costs_more = |request: &reqwest::Request, terms: Terms| match request.url().path() {
        "/search" => Terms { cost: 4, patience: Patience::Now },
        _ => terms,
    };
    let route = |request: &reqwest::Request| request.url().path().to_owned();
    let layers = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new(2)))
        .layer(RateLimitLayer::per_key(Host, hosts).terms(costs_more).wait())
        .layer(RateLimitLayer::per_key(route, routes.clone()).wait())
        .layer(HeedLayer::new(Host, Heeding::new(rate())))
        .into_inner();
    let client = Client::new(direct(), layers);
    // Refused once and tried again: eight of ten permits.
    let body = client.post(server.url("/search")).body("text");
    assert_eq!(body.send().await.unwrap().status(), 200);
    assert_eq!(arrived.load(Ordering::SeqCst), 2);
    assert_eq!(routes.key("/search").peek(0).remaining, 8);
    let error = client.get(server.url("/search")).send().await.unwrap_err();
    let refused = error.flatten().flatten().limited().unwrap().clone();
    assert_eq!((refused.cost(), refused.max_wait()), (4, Some(Duration::ZERO)));
    assert_eq!(client.get(server.url("/other")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_reqwest_middleware_client_tries_again_and_each_attempt_takes_what_it_costs() {
    let (server, arrived) = refuses_once("0").await;
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(rate()).capacity(10).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    let costs_more = |request: &reqwest::Request, terms: Terms| match request.url().path() {
        "/search" => Terms { cost: 4, patience: Patience::Now },
        _ => terms,
    };
    let client = ClientBuilder::new(direct())
        .with(RetryMiddleware::new(RetryPolicy::new(2)))
        .with(RateLimitMiddleware::new(limiter.clone()).terms(costs_more))
        .with(HeedMiddleware::new(Host, Heeding::new(rate())))
        .build();
    let body = client.post(server.url("/search")).body("text");
    assert_eq!(body.send().await.unwrap().status(), 200);
    assert_eq!(arrived.load(Ordering::SeqCst), 2);
    assert_eq!(limiter.peek(0).remaining, 2);
    // One that cannot be had now is not sent, and what costs one is.
    let refused = client.get(server.url("/search")).send().await.unwrap_err();
    assert!(matches!(refused, reqwest_middleware::Error::Middleware(_)));
    assert_eq!(client.get(server.url("/other")).send().await.unwrap().status(), 200);
    assert_eq!(arrived.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_reqwest_middleware_client_does_not_try_again_without_attempts_left() {
    let (server, arrived) = refuses_once("601").await;
    let send = async |policy| {
        let client = ClientBuilder::new(direct());
        let client = client.with(RetryMiddleware::new(policy)).build();
        client.get(server.url("/")).send().await.unwrap().status().as_u16()
    };
    // One attempt in all, and then a wait that is too long for it.
    assert_eq!(send(RetryPolicy::new(1)).await, 429);
    arrived.store(0, Ordering::SeqCst);
    assert_eq!(send(RetryPolicy::new(3)).await, 429);
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
    assert_eq!(send(RetryPolicy::new(3)).await, 200);
}
