//! reqwest clients.

use super::{counter, direct, eventually};
use std::{sync::atomic::Ordering, time::Duration};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_ratelimit::{
    Error, LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimiter,
    http::{Host, reqwest::Client},
};

fn leaky(rate: u32, capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(rate).unwrap()).capacity(capacity).unwrap()
}

fn hourly() -> LeakyBucket {
    LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(1).unwrap()
}

#[tokio::test]
async fn the_layer_wraps_a_plain_client_and_keeps_its_error_type() {
    let (server, _) = counter().await;
    let layer = RateLimitLayer::wait_only(leaky(1000, 1));
    let mut client = ServiceBuilder::new().layer(layer).service(direct());
    for _ in 0..6 {
        let request = direct().get(server.url("/")).build().unwrap();
        let response: Result<_, reqwest::Error> = client.ready().await.unwrap().call(request).await;
        assert_eq!(response.unwrap().text().await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn requests_wait_in_line_and_all_clients_of_one_limiter_share_it() {
    let (server, arrived) = counter().await;
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(leaky(1, 2)).clock(clock.clone()).build();
    let one = Client::new(direct(), RateLimitLayer::new(limiter.clone()));
    let other = Client::new(direct(), RateLimitLayer::new(limiter.clone()));
    let clients = [one.clone(), one, other.clone(), other];
    let calls: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let url = server.url("/");
            tokio::spawn(async move { client.get(url).send().await.unwrap().status() })
        })
        .collect();
    // Two are sent, and two stand in line: a fifth would be let go three intervals from now.
    let third_interval = Some(Duration::from_secs(3));
    eventually("two stand in line", || limiter.peek(1).retry_after() == third_interval).await;
    for sent in [2, 3] {
        eventually("it was sent", || arrived.load(Ordering::SeqCst) == sent).await;
        clock.advance(Duration::from_secs(1));
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(arrived.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_limited_client_still_says_get_and_send() {
    let (server, arrived) = counter().await;
    let client = Client::new(direct(), RateLimitLayer::new(leaky(1000, 5)));
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 200);
    let post = client.clone().post(server.url("/")).with(|builder| builder.body("text"));
    assert_eq!(post.send().await.unwrap().status(), 200);
    assert_eq!(arrived.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_request_is_not_sent() {
    let (server, arrived) = counter().await;
    let client = Client::new(direct(), RateLimitLayer::new(hourly()).refuse());
    client.get(server.url("/")).send().await.unwrap();
    let error = client.get(server.url("/")).send().await.unwrap_err();
    let wait = error.limited().unwrap().retry_after().unwrap();
    assert!(wait > Duration::from_secs(3590) && wait <= Duration::from_secs(3600));
    assert_eq!(arrived.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_request_that_cannot_be_built_takes_no_permit() {
    let limiter = RateLimiter::new(hourly());
    let client = Client::new(direct(), RateLimitLayer::new(limiter.clone()));
    let error = client.get("not a url").send().await.unwrap_err();
    assert!(matches!(error, Error::Inner(error) if error.is_builder()));
    assert_eq!(limiter.peek(0).remaining, 1);
}

#[tokio::test]
async fn each_host_has_a_limit_of_its_own() {
    let (one, _) = counter().await;
    let (other, _) = counter().await;
    let client = Client::new(direct(), RateLimitLayer::per_key(Host, hourly()));
    let ask = async |url: String| client.get(url).send().await.is_ok();
    assert!(ask(one.url("/a")).await);
    assert!(!ask(one.url("/b")).await);
    assert!(ask(other.url("/a")).await);
}

#[tokio::test]
async fn an_error_of_reqwest_is_passed_on() {
    let (server, _) = counter().await;
    let url = server.url("/");
    drop(server);
    tokio::task::yield_now().await;
    let client = Client::new(direct(), RateLimitLayer::new(leaky(10, 1)));
    let mut error = client.get(&url).send().await;
    // The port is closed once the task of the server has ended.
    for _ in 0..100 {
        if error.is_err() {
            break;
        }
        error = client.get(&url).send().await;
    }
    assert!(matches!(error.unwrap_err(), Error::Inner(error) if error.is_connect()));
}
