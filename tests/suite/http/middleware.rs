//! reqwest-middleware.

use super::{counter, direct, eventually};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware};
use std::{sync::atomic::Ordering, time::Duration};
use tower_ratelimit::{
    Fail, KeySource, LeakyBucket, ManualClock, MissingKey, Rate, RateLimited, RateLimiter, Reason,
    http::{Host, reqwest_middleware::RateLimitMiddleware},
};

fn hourly() -> LeakyBucket {
    LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(1).unwrap()
}

fn client(middleware: impl Middleware) -> ClientWithMiddleware {
    ClientBuilder::new(direct()).with(middleware).build()
}

fn refusal(error: Error) -> RateLimited {
    match error {
        Error::Middleware(error) => error.downcast().unwrap(),
        Error::Reqwest(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_refused_request_is_not_sent() {
    let (server, arrived) = counter().await;
    let client = client(RateLimitMiddleware::new(hourly()).refuse());
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 200);
    let refused = refusal(client.get(server.url("/")).send().await.unwrap_err());
    assert_eq!(refused.reason(), Reason::UsedUp);
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_refused_at_once() {
    let (server, _) = counter().await;
    let accepted = Duration::from_secs(5);
    let client = client(RateLimitMiddleware::new(hourly()).max_wait(accepted));
    client.get(server.url("/")).send().await.unwrap();
    let refused = refusal(client.get(server.url("/")).send().await.unwrap_err());
    assert_eq!(refused.max_wait(), Some(accepted));
}

#[tokio::test]
async fn requests_wait_in_line_unless_told_otherwise() {
    let (server, arrived) = counter().await;
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(hourly()).clock(clock.clone()).build();
    let one = client(RateLimitMiddleware::new(limiter.clone()));
    let other = client(RateLimitMiddleware::new(limiter.clone()));
    one.get(server.url("/")).send().await.unwrap();
    let url = server.url("/");
    let waiting = tokio::spawn(async move { other.get(url).send().await.unwrap().status() });
    let second_hour = Some(Duration::from_secs(2 * 3600));
    eventually("one stands in line", || limiter.peek(1).retry_after() == second_hour).await;
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn each_host_has_a_limit_of_its_own() {
    let (one, _) = counter().await;
    let (other, _) = counter().await;
    let client = client(RateLimitMiddleware::per_key(Host, hourly()).refuse());
    let ask = async |url: String| client.get(url).send().await.is_ok();
    assert_eq!(
        [ask(one.url("/a")).await, ask(one.url("/b")).await, ask(other.url("/")).await],
        [true, false, true]
    );
}

/// Lets go whatever goes to `/health`, and knows nobody.
#[derive(Clone)]
struct Nobody;

impl KeySource<reqwest::Request> for Nobody {
    type Key = ();
    type Reply = Fail;

    fn key(&self, _: &reqwest::Request) -> Result<(), MissingKey> {
        Err(MissingKey::anonymous("there is none"))
    }

    fn reply(&self) -> Fail {
        Fail
    }

    fn is_exempt(&self, request: &reqwest::Request) -> bool {
        request.url().path() == "/health"
    }
}

#[tokio::test]
async fn an_exempt_request_needs_no_key_and_others_without_one_are_not_sent() {
    let (server, arrived) = counter().await;
    let client = client(RateLimitMiddleware::per_key(Nobody, hourly()));
    for _ in 0..2 {
        assert_eq!(client.get(server.url("/health")).send().await.unwrap().status(), 200);
    }
    let refused = refusal(client.get(server.url("/")).send().await.unwrap_err());
    assert_eq!(refused.reason(), Reason::Anonymous);
    assert_eq!(arrived.load(Ordering::SeqCst), 2);
}
