//! An axum service that is limited for each API key, once the key was found to be good.
//!
//! ```text
//! cargo run --example axum_api_key
//! ```
//!
//! Each key may make three calls a minute. The keys are checked before they are counted:
//! otherwise anybody could have a fresh limit by making up a key. So alice's fourth call is
//! answered with 429 while bob still gets through, and made-up keys always get 401.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use http::{HeaderName, StatusCode};
use std::error::Error;
use tokio::net::TcpListener;
use tower_ratelimit::{
    AtCapacity, KeyedRateLimiter, Rate, RateLimitLayer, SlidingWindow, http::Header,
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // An algorithm would do in place of the limiter, which is there to be named, bounded and seen.
    let limiter = KeyedRateLimiter::builder(SlidingWindow::new(Rate::per_minute(3)?))
        .name("calls per API key")
        .max_keys(10_000)?
        .at_capacity(AtCapacity::Refuse)
        .build();
    // The layer that is added last is outside: requests meet the check before the limit.
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::per_key(Header::new(API_KEY), limiter.clone()))
        .layer(from_fn(known_keys_only));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    let client = reqwest::Client::builder().no_proxy().build()?;
    for (key, expected) in [
        ("alice", 200),
        ("alice", 200),
        ("alice", 200),
        ("alice", 429),
        ("bob", 200),
        ("mallory-1", 401),
        ("mallory-2", 401),
    ] {
        let status = client.get(&url).header(API_KEY, key).send().await?.status();
        println!("{key:<9} -> {status}");
        assert_eq!(status, expected);
    }
    println!("keys counted: {}", limiter.keys());
    println!("left for bob: {}", limiter.key("bob").peek(0).remaining);
    assert_eq!((limiter.keys(), limiter.key("bob").peek(0).remaining), (2, 2));
    Ok(())
}

async fn known_keys_only(request: Request, next: Next) -> Result<Response, StatusCode> {
    match request.headers().get(API_KEY) {
        Some(key) if ["alice", "bob"].contains(&key.to_str().unwrap_or_default()) => {
            Ok(next.run(request).await)
        }
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}
