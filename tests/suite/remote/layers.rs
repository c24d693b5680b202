//! What stands before a limiter, over Redis.

use super::{DEADLINE, opened};
use crate::{http::direct, servers::redis::Server};
use axum::{Router, body::Body, extract::Request, http::StatusCode, response::IntoResponse};
use std::convert::Infallible;
use tokio::{net::TcpListener, time::Instant};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{
    LeakyBucket, OnFailure, Quota, Rate, RateLimitLayer, RateLimited, Reason, StoredLimiter,
    http::reqwest::Client,
};

async fn two(server: &Server) -> StoredLimiter<Quota, opened::Redis> {
    let two = Quota::new(2).unwrap();
    let store = opened::redis(server).await;
    StoredLimiter::builder("two", store, two, OnFailure::Refuse).build().unwrap()
}

#[tokio::test]
async fn a_layer_refuses_what_redis_refuses() {
    let server = Server::start().await;
    let layer = RateLimitLayer::new(two(&server).await).refuse();
    let echo = service_fn(async |number: u32| Ok::<_, Infallible>(number));
    let service = ServiceBuilder::new().layer(layer).service(echo);
    for number in 0..2 {
        assert_eq!(service.clone().oneshot(number).await.unwrap(), number);
    }
    let error = service.oneshot(2).await.unwrap_err();
    assert_eq!(error.limited().unwrap().reason(), Reason::Exhausted);
}

#[tokio::test]
async fn a_route_of_axum_has_a_limit_for_each_key_in_redis() {
    let server = Server::start().await;
    let by_query = |request: &Request| request.uri().query().map(str::to_owned);
    let too_many =
        |_: RateLimited| Ok::<_, Infallible>(StatusCode::TOO_MANY_REQUESTS.into_response());
    let layer = RateLimitLayer::per_key(by_query, two(&server).await).respond(too_many);
    let app = Router::new().route("/", axum::routing::get(async || "hello")).layer(layer);
    let status = async |uri: &str| {
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };
    for (uri, expected) in
        [("/?a", 200), ("/?a", 200), ("/?a", 429), ("/?b", 200), ("/?a", 429), ("/?b", 200)]
    {
        assert_eq!(status(uri).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn a_client_of_reqwest_sends_nothing_that_redis_refuses() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().fallback(async || "hello");
    let web = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let layer = RateLimitLayer::new(two(&server).await).refuse();
    let client = Client::new(direct(), layer);
    for _ in 0..2 {
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "hello");
    }
    let error = client.get(&url).send().await.unwrap_err();
    assert_eq!(error.limited().unwrap().reason(), Reason::Exhausted);
    web.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_wait_for_their_turns_in_redis() {
    let server = Server::start().await;
    let pace = Rate::new(1, DEADLINE / 3).unwrap();
    let bucket = LeakyBucket::new(pace).capacity(1).unwrap();
    let store = opened::redis(&server).await;
    let limiter = StoredLimiter::builder("paced", store, bucket, OnFailure::Refuse);
    let limit = limiter.build().unwrap().key("a");
    let start = Instant::now();
    let threads = [(); 4].map(|()| {
        let limit = limit.clone();
        tokio::task::spawn_blocking(move || limit.acquire().blocking_wait().unwrap().waited())
    });
    for thread in threads {
        thread.await.unwrap();
    }
    assert!(start.elapsed() >= DEADLINE, "the fourth slot is three intervals from the first");
}
