//! Services of tonic behind a layer.

use super::{GREET, Served, call, greet, retry_delay, texts};
use axum::{Router, routing::get};
use futures_util::{StreamExt, stream};
use http::{Request, Response, uri::PathAndQuery};
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tonic::{
    Code, Status,
    body::Body,
    service::Routes,
    transport::{Server, server::TcpConnectInfo},
};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{
    Concurrency, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimiter,
    SlidingWindow,
    http::{
        FieldGeneration::Draft11, PeerAddr, PeerIp, RateLimitFields, ResourceExhausted,
        TooManyRequests,
    },
};

fn two_a_minute(clock: &ManualClock) -> KeyedRateLimiter<SlidingWindow> {
    let limit = SlidingWindow::new(Rate::per_minute(2).unwrap());
    KeyedRateLimiter::builder(limit).name("greetings").clock(clock.clone()).build()
}

/// What tonic knows of a connection, where the limit looks for it.
fn with_peer(mut request: Request<Body>) -> Request<Body> {
    let connected = request.extensions().get::<TcpConnectInfo>();
    if let Some(peer) = connected.and_then(TcpConnectInfo::remote_addr) {
        request.extensions_mut().insert(PeerAddr(peer));
    }
    request
}

#[tokio::test]
async fn a_client_is_told_when_to_come_back_and_gets_through_then() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::per_key(PeerIp::default(), two_a_minute(&clock));
    let layer = ServiceBuilder::new().map_request(with_peer).layer(limit.reply(ResourceExhausted));
    let routes = Routes::from(Router::new().route_service(GREET, service_fn(greet)));
    let served = Served::start(|incoming| {
        Server::builder().layer(layer.into_inner()).add_routes(routes).serve_with_incoming(incoming)
    })
    .await;
    let call = || call(served.channel.clone());
    assert_eq!(call().await.unwrap().into_inner(), "hello Ada");
    clock.advance(Duration::from_nanos(1));
    call().await.unwrap();

    clock.advance(Duration::from_millis(1500));
    let refused = call().await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.message(), "limit greetings is used up");
    let wait = Duration::from_secs(60) - Duration::from_nanos(1_500_000_001);
    assert_eq!(retry_delay(&refused), Some(wait));
    assert_eq!(refused.metadata().get("grpc-retry-pushback-ms").unwrap(), "58500");

    clock.advance(wait - Duration::from_nanos(1));
    let refused = call().await.unwrap_err();
    assert_eq!(retry_delay(&refused), Some(Duration::from_nanos(1)));
    clock.advance(Duration::from_nanos(1));
    call().await.unwrap();
}

/// The server was not told to keep the addresses.
#[tokio::test]
async fn without_the_address_of_the_client_the_server_is_at_fault() {
    let limit = RateLimitLayer::per_key(PeerIp::default(), two_a_minute(&ManualClock::new()));
    let service = limit.reply(ResourceExhausted);
    let service = ServiceBuilder::new().layer(service).service_fn(greet);
    assert_eq!(call(service).await.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn the_fields_are_metadata_of_both_answers_and_refusals() {
    let clock = ManualClock::new();
    let limit = RateLimitLayer::per_key(|_: &Request<Body>| 1, two_a_minute(&clock));
    let limit = limit.reply(ResourceExhausted).fields(RateLimitFields::always(Draft11)).unwrap();
    let service = ServiceBuilder::new().layer(limit).service_fn(greet);
    for left in [r#""greetings";r=1;t=60"#, r#""greetings";r=0;t=60"#] {
        let greeting = call(service.clone()).await.unwrap();
        assert_eq!(greeting.metadata().get("ratelimit").unwrap(), left);
    }
    let refused = call(service).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.metadata().get("ratelimit").unwrap(), r#""greetings";r=0;t=60"#);
}

/// Counts up to three in messages of their own.
async fn count(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let count = service_fn(async |_: tonic::Request<String>| {
        let numbers = stream::iter(["one", "two", "three"]);
        let numbers = numbers.map(|number| Ok::<_, Status>(number.to_owned()));
        Ok::<_, Status>(tonic::Response::new(numbers))
    });
    Ok(tonic::server::Grpc::new(texts()).server_streaming(count, request).await)
}

#[tokio::test]
async fn a_stream_holds_its_permit_until_its_last_message() {
    let limiter = RateLimiter::new(Concurrency::new(1).unwrap());
    let layer = RateLimitLayer::new(limiter.clone()).refuse().reply(ResourceExhausted);
    let service = ServiceBuilder::new().layer(layer.until_body_end()).service_fn(count);
    let counting = async || {
        let mut client = tonic::client::Grpc::new(service.clone());
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/hello.Greeter/Count");
        client.server_streaming(tonic::Request::new(String::new()), path, texts()).await
    };
    for _ in 0..2 {
        let mut numbers = counting().await.unwrap().into_inner();
        for number in ["one", "two", "three"] {
            assert_eq!(numbers.message().await.unwrap().as_deref(), Some(number));
            assert_eq!(counting().await.unwrap_err().code(), Code::ResourceExhausted);
        }
        assert_eq!(numbers.message().await.unwrap(), None);
    }
    // Who goes away early does not keep it, either.
    let mut numbers = counting().await.unwrap().into_inner();
    numbers.message().await.unwrap();
    drop(numbers);
    limiter.try_acquire().unwrap();
}

#[tokio::test]
async fn plain_and_grpc_routes_share_a_limit_and_each_refuses_in_its_language() {
    let limiter = two_a_minute(&ManualClock::new());
    let pages = RateLimitLayer::per_key(PeerIp::default(), limiter.clone());
    let calls = RateLimitLayer::per_key(PeerIp::default(), limiter).reply(ResourceExhausted);
    let app = Router::new().route("/", get(async || "hello")).layer(pages);
    let app = app.merge(Router::new().route_service(GREET, service_fn(greet)).layer(calls));
    let peer = PeerAddr(SocketAddr::from(([192, 0, 2, 7], 50_000)));
    let app = ServiceBuilder::new()
        .map_request(move |mut request: Request<Body>| {
            request.extensions_mut().insert(peer);
            request
        })
        .service(app);
    let page = async || {
        let request = Request::get("/").body(Body::default()).unwrap();
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!(page().await, 200);
    call(app.clone()).await.unwrap();
    assert_eq!(page().await, 429);
    assert_eq!(call(app.clone()).await.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_let_wait_are_answered_as_if_nothing_was() {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let layer = RateLimitLayer::new(bucket).max_wait(Duration::from_secs(1));
    let service = ServiceBuilder::new().layer(layer.reply(ResourceExhausted)).service_fn(greet);
    let start = tokio::time::Instant::now();
    let calls = [(); 3].map(|()| call(service.clone()));
    let [first, second, third] = futures_util::future::join_all(calls).await.try_into().unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(retry_delay(&third.unwrap_err()), Some(Duration::from_secs(2)));
}

/// A reply that does not know gRPC: what clients made of refusals without this one.
#[tokio::test]
async fn a_plain_429_tells_a_grpc_client_nothing_but_that_it_was_refused() {
    let limit = RateLimitLayer::per_key(|_: &Request<Body>| 1, two_a_minute(&ManualClock::new()));
    let service = ServiceBuilder::new().layer(limit.reply(TooManyRequests)).service_fn(greet);
    call(service.clone()).await.unwrap();
    call(service.clone()).await.unwrap();
    let refused = call(service).await.unwrap_err();
    assert_eq!((refused.code(), retry_delay(&refused)), (Code::Unavailable, None));
}
