//! An axum service whose limits depend on who is asking, and change while it runs.
//!
//! ```sh
//! cargo run --example axum_tiers
//! ```
//!
//! Two ways to have tiers. `/search` has one limit for each tier, beside one for each address and one
//! over all: its rules say which of them a request is subject to, and it is let through by all of
//! them or counts for none. `/profile` has one limit for each API key, and customers who pay have an
//! arithmetic of their own: what they have used stays used when they change their tier.
//!
//! A service that is open to the world checks the keys first, as `axum_api_key` does.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use axum::{Router, extract::Request, routing::get};
use http::{HeaderName, HeaderValue};
use std::{
    collections::HashSet,
    error::Error,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::net::TcpListener;
use tower_ratelimit::{
    JointLayer, JointLimiter, KeySource, KeyedRateLimiter, MissingKey, Rate, RateLimitLayer,
    SlidingWindow,
    http::{Header, PeerIp, TooManyRequests},
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The keys of those who pay.
#[derive(Clone, Default)]
struct Paying(Arc<RwLock<HashSet<HeaderValue>>>);

impl Paying {
    fn contains(&self, key: &HeaderValue) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn add(&self, key: &'static str) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(HeaderValue::from_static(key));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let per_minute = |calls| Rate::per_minute(calls).map(SlidingWindow::new);

    // One limit for each tier.
    let mut limits = JointLimiter::builder();
    let over_all = limits.limit("over all", per_minute(1000)?)?;
    let per_address = limits.limit("per address", per_minute(100)?)?;
    let anonymous = limits.limit("anonymous", per_minute(1)?)?;
    let free = limits.limit("free", per_minute(2)?)?;
    let paid = limits.limit("paid", per_minute(4)?)?;
    let limiter = limits.build();
    let paying = Paying::default();
    let known = paying.clone();
    let rules = move |limits: &JointLimiter, request: &Request| {
        let address = PeerIp::default().key(request)?;
        let call = limits.on(over_all, &()).on(per_address, &address);
        Ok::<_, MissingKey>(match request.headers().get(API_KEY) {
            None => call.on(anonymous, &address),
            Some(key) if known.contains(key) => call.on(paid, key),
            Some(key) => call.on(free, key),
        })
    };
    let by_tier = JointLayer::new(limiter.clone(), rules).reply(TooManyRequests);

    // One limit for each key.
    let keys = KeyedRateLimiter::new(per_minute(2)?);
    let by_key = RateLimitLayer::per_key(Header::new(API_KEY), keys.clone());

    let app = Router::new()
        .route("/search", get(async || "found").layer(by_tier))
        .route("/profile", get(async || "hello").layer(by_key));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client::new(listener.local_addr()?)?;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, service).await });

    client.calls("/search", None, &[200, 429]).await?;
    client.calls("/search", Some("alice"), &[200, 200, 429]).await?;
    client.calls("/search", Some("bob"), &[200, 200, 429]).await?;
    println!("alice pays from now on, and begins with what her new tier has:");
    paying.add("alice");
    client.calls("/search", Some("alice"), &[200, 200, 200, 200, 429]).await?;
    println!("all who do not pay may ask three times, and two of those are used:");
    limiter.set_algorithm(free, per_minute(3)?)?;
    client.calls("/search", Some("bob"), &[200, 429]).await?;

    client.calls("/profile", Some("carol"), &[200, 200, 429]).await?;
    println!("carol pays from now on for five, and two of those are used:");
    keys.set_algorithm_for("carol", per_minute(5)?)?;
    client.calls("/profile", Some("carol"), &[200, 200, 200, 429]).await?;
    Ok(())
}

/// Prints how calls come out, which has to be as expected.
struct Client {
    client: reqwest::Client,
    server: SocketAddr,
}

impl Client {
    fn new(server: SocketAddr) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client, server })
    }

    async fn calls(&self, path: &str, key: Option<&str>, expected: &[u16]) -> reqwest::Result<()> {
        print!("{path:<8} {:<6}", key.unwrap_or("-"));
        for expected in expected {
            let mut request = self.client.get(format!("http://{}{path}", self.server));
            if let Some(key) = key {
                request = request.header(API_KEY, key);
            }
            let status = request.send().await?.status().as_u16();
            print!(" {status}");
            assert_eq!(status, *expected);
        }
        println!();
        Ok(())
    }
}
