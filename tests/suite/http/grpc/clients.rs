//! A client of tonic through the layer.

use super::{GREET, Served, call, greet, retry_delay};
use axum::Router;
use std::{error::Error as _, time::Duration};
use tokio::time::Instant;
use tonic::{
    Code,
    service::Routes,
    transport::{self, Server},
};
use tower::{ServiceBuilder, service_fn};
use tower_ratelimit::{
    Error, LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimiter, Strict,
    http::ResourceExhausted,
};

async fn greeter() -> Served {
    let routes = Routes::from(Router::new().route_service(GREET, service_fn(greet)));
    Served::start(|incoming| Server::builder().add_routes(routes).serve_with_incoming(incoming))
        .await
}

/// The limit of a client, and its clock.
fn one_a_second() -> RateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    RateLimiter::builder(bucket).clock(ManualClock::new()).build()
}

#[tokio::test]
async fn it_finds_the_refusal_of_its_own_layer_behind_the_status() {
    let served = greeter().await;
    let layer = RateLimitLayer::new(one_a_second()).refuse();
    let client = ServiceBuilder::new().layer(layer).service(served.channel.clone());
    assert_eq!(call(client.clone()).await.unwrap().into_inner(), "hello Ada");
    let refused = call(client).await.unwrap_err();
    let error = refused.source().and_then(|source| source.downcast_ref());
    let Some(Error::<transport::Error>::Limited(refusal)) = error else { panic!("{refused:?}") };
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn its_own_layer_can_answer_as_the_server_would() {
    let served = greeter().await;
    let layer = RateLimitLayer::new(one_a_second()).refuse().reply(ResourceExhausted);
    let client = ServiceBuilder::new().layer(layer).service(served.channel.clone());
    call(client.clone()).await.unwrap();
    let refused = call(client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(retry_delay(&refused), Some(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn it_waits_its_turn() {
    let layer = RateLimitLayer::new(Strict::new(Rate::new(1, Duration::from_millis(100)).unwrap()));
    let client = ServiceBuilder::new().layer(layer).service(service_fn(greet));
    let start = Instant::now();
    for turn in 0..5 {
        call(client.clone()).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(100) * turn);
    }
}
