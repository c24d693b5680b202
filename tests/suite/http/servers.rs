//! axum routes.

use super::{Server, direct};
use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tower::{Layer, ServiceExt};
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, OrShared, Rate, RateLimitLayer, RateLimited, SlidingWindow,
    http::{ClientIp, Header, PeerIp, Route, TrustedProxies, too_many_requests},
};

fn per_minute(permits: u32) -> SlidingWindow {
    SlidingWindow::new(Rate::per_minute(permits).unwrap())
}

fn from(address: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    let address: SocketAddr = address.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(address));
    request
}

async fn status(app: &Router, request: Request<Body>) -> u16 {
    app.clone().oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn beyond_the_limit_an_address_gets_429_with_a_retry_after() {
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::per_key(PeerIp::default(), per_minute(3)));
    let server = Server::start(app).await;
    let client = direct();
    for _ in 0..3 {
        let response = client.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.text().await.unwrap(), "hello");
    }
    for _ in 0..3 {
        // The connection survives a refusal.
        let response = client.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let retry_after = response.headers()["retry-after"].to_str().unwrap().parse::<u64>();
        assert!((1..=60).contains(&retry_after.unwrap()));
    }
}

/// In front of a router no route was looked for yet.
#[tokio::test]
async fn in_front_of_a_router_paths_that_no_route_has_count_too() {
    let served = Arc::new(AtomicUsize::new(0));
    let serves = Arc::clone(&served);
    let app = Router::new().fallback(async move || {
        serves.fetch_add(1, Ordering::SeqCst);
        StatusCode::NOT_FOUND
    });
    let layer = RateLimitLayer::per_key(PeerIp::default(), per_minute(2));
    let server = Server::start(layer.layer(app)).await;
    let client = direct();
    for expected in [404, 404, 429, 429] {
        let response = client.get(server.url("/nowhere")).send().await.unwrap();
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers().contains_key("retry-after"), expected == 429);
    }
    assert_eq!(served.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn each_api_key_has_a_limit_of_its_own() {
    let by_key = OrShared(Header::new(HeaderName::from_static("x-api-key")));
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::per_key(by_key, per_minute(1)));
    let server = Server::start(app).await;
    let client = direct();
    let ask = async |key: &str| {
        let request = client.get(server.url("/")).header("x-api-key", key);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!([ask("alice").await, ask("alice").await, ask("bob").await], [200, 429, 200]);
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 200);
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 429);
}

#[tokio::test]
async fn a_closure_says_who_asks_and_respond_says_what_they_get() {
    let by_path = RateLimitLayer::per_key(
        |request: &Request<Body>| request.uri().path().to_owned(),
        per_minute(1),
    );
    let layer = by_path.respond(|refusal: RateLimited| {
        let mut response = too_many_requests::<Body>(&refusal);
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        Ok(response)
    });
    let app = Router::new().fallback(async || "hello").layer(layer);
    let ask = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(status(&app, ask("/a")).await, 200);
    assert_eq!(status(&app, ask("/a")).await, 418);
    assert_eq!(status(&app, ask("/b")).await, 200);
}

#[tokio::test]
async fn mapped_addresses_are_folded_and_a_64_bit_network_is_one_client() {
    let layer = RateLimitLayer::per_key(PeerIp::default(), per_minute(1));
    let app = Router::new().fallback(async || "hello").layer(layer);
    assert_eq!(status(&app, from("192.0.2.1:1")).await, 200);
    assert_eq!(status(&app, from("[::ffff:192.0.2.1]:2")).await, 429);
    assert_eq!(status(&app, from("[::ffff:192.0.2.2]:2")).await, 200);
    assert_eq!(status(&app, from("[2001:db8::1]:1")).await, 200);
    assert_eq!(status(&app, from("[2001:db8::ffff:1]:1")).await, 429);
    assert_eq!(status(&app, from("[2001:db8:0:1::1]:1")).await, 200);
}

#[tokio::test]
async fn a_server_that_does_not_keep_the_address_answers_500() {
    let layer = RateLimitLayer::per_key(PeerIp::default(), per_minute(1));
    let app = Router::new().fallback(async || "hello").layer(layer);
    assert_eq!(status(&app, Request::new(Body::empty())).await, 500);
}

#[tokio::test]
async fn routes_share_the_limit_of_one_layer_and_have_their_own_with_two() {
    let layer = || RateLimitLayer::per_key(PeerIp::default(), per_minute(1));
    let routes = Router::new().route("/a", get(async || "a")).route("/b", get(async || "b"));
    let to = |path: &str| {
        let mut request = from("192.0.2.1:1");
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let shared = routes.clone().layer(layer());
    assert_eq!(status(&shared, to("/a")).await, 200);
    assert_eq!(status(&shared, to("/b")).await, 429);
    let apart = Router::new()
        .route("/a", get(async || "a").layer(layer()))
        .route("/b", get(async || "b").layer(layer()));
    assert_eq!(status(&apart, to("/a")).await, 200);
    assert_eq!(status(&apart, to("/b")).await, 200);
}

#[tokio::test]
async fn a_route_is_one_limit_whatever_stands_in_its_path_and_so_are_all_paths_without_one() {
    let layer = RateLimitLayer::per_key((PeerIp::default(), Route), per_minute(1));
    let users = Router::new().route("/{id}", get(async || "a user"));
    let app = Router::new()
        .nest("/users", users)
        .route("/items/{id}", get(async || "an item"))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(layer);
    let ask = async |path: &str, address: &str| {
        let mut request = from(address);
        *request.uri_mut() = path.parse().unwrap();
        status(&app, request).await
    };
    assert_eq!(ask("/users/1", "192.0.2.1:1").await, 200);
    assert_eq!(ask("/users/2", "192.0.2.1:1").await, 429);
    assert_eq!(ask("/items/1", "192.0.2.1:1").await, 200);
    assert_eq!(ask("/users/2", "192.0.2.2:1").await, 200);
    assert_eq!(ask("/made", "192.0.2.1:1").await, 404);
    assert_eq!(ask("/up", "192.0.2.1:1").await, 429);
}

#[tokio::test]
async fn clients_behind_a_proxy_have_a_limit_each() {
    let proxies = TrustedProxies::networks(["10.0.0.0/8"]).unwrap();
    let by_client = RateLimitLayer::per_key(ClientIp::x_forwarded_for(proxies), per_minute(1));
    let app = Router::new().fallback(async || "hello").layer(by_client);
    let ask = async |line: &'static str| {
        let mut request = from("10.0.0.1:1");
        request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static(line));
        status(&app, request).await
    };
    assert_eq!(ask("192.0.2.1").await, 200);
    assert_eq!(ask("192.0.2.9, 192.0.2.1").await, 429);
    assert_eq!(ask("192.0.2.2").await, 200);
    assert_eq!(status(&app, from("192.0.2.1:1")).await, 429);
    assert_eq!(status(&app, Request::new(Body::empty())).await, 500);
}

#[tokio::test]
async fn a_limit_for_all_requests_together_answers_429_too() {
    let bucket = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(2).unwrap();
    let layer = RateLimitLayer::new(bucket)
        .refuse()
        .respond(|refusal: RateLimited| Ok(too_many_requests::<Body>(&refusal)));
    let app = Router::new().fallback(async || "hello").layer(layer);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(status(&app, Request::new(Body::empty())).await);
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
}

#[tokio::test(start_paused = true)]
async fn requests_may_wait_instead_but_not_too_long() {
    let limiter = KeyedRateLimiter::new(per_minute(1));
    let minute = std::time::Duration::from_secs(60);
    let layer = RateLimitLayer::per_key(PeerIp::default(), limiter.clone()).max_wait(minute);
    let app = Router::new().fallback(async || "hello").layer(layer);
    let start = tokio::time::Instant::now();
    assert_eq!(status(&app, from("192.0.2.1:1")).await, 200);
    let waiting = tokio::spawn({
        let app = app.clone();
        async move { status(&app, from("192.0.2.1:1")).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(status(&app, from("192.0.2.1:1")).await, 429);
    assert_eq!(start.elapsed(), std::time::Duration::ZERO);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(start.elapsed(), minute);
    assert_eq!(limiter.keys(), 1);
}

#[tokio::test]
async fn many_connections_at_once_get_exactly_the_limit() {
    let layer = RateLimitLayer::per_key(PeerIp::default(), per_minute(25));
    let server = Server::start(Router::new().fallback(async || "hello").layer(layer)).await;
    let clients = (0..20).map(|_| {
        let url = server.url("/");
        tokio::spawn(async move {
            let client = direct();
            let mut admitted = 0;
            for _ in 0..10 {
                let status = client.get(&url).send().await.unwrap().status();
                assert!(status == 200 || status == 429);
                admitted += u32::from(status == 200);
            }
            admitted
        })
    });
    let mut admitted = 0;
    for client in clients.collect::<Vec<_>>() {
        admitted += client.await.unwrap();
    }
    assert_eq!(admitted, 25);
}
