//! Axum routes behind a proxy, limited for each client and not for the proxy, who asks for them all.
//!
//! ```text
//! cargo run --example axum_behind_proxy
//! ```
//!
//! Each client may call twice a minute. The proxy is played by the requests themselves: they come from
//! 127.0.0.1, which is trusted, and say in the last entry of `X-Forwarded-For` who has asked. A client that
//! makes up entries before that one has no limit more, nor has one with many addresses in one IPv6
//! network. Whoever only asks whether the server is up is not limited.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, extract::Request, routing::get};
use std::{error::Error, net::SocketAddr};
use tokio::net::TcpListener;
use tower_ratelimit::{
    Rate, RateLimitLayer, SlidingWindow,
    http::{ClientIp, TrustedProxies},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Whoever has one of these addresses is believed: no client may have one.
    let proxies = TrustedProxies::networks(["127.0.0.0/8", "::1"])?;
    let limit = SlidingWindow::new(Rate::per_minute(2)?);
    let layer = RateLimitLayer::per_key(ClientIp::x_forwarded_for(proxies), limit)
        .exempt(|request: &Request| request.uri().path() == "/health");
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/health", get(async || "up"))
        .layer(layer);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    // This is what tells the limit who is connected: the proxy.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, app).await });

    let client = reqwest::Client::builder().no_proxy().build()?;
    for (path, forwarded_for, expected) in [
        ("/", "192.0.2.1", 200),
        ("/", "192.0.2.1", 200),
        ("/", "192.0.2.1", 429),
        // Whatever stands before the last entry was not written by the proxy.
        ("/", "198.51.100.99, 192.0.2.1", 429),
        ("/", "127.0.0.1, 192.0.2.1:50000", 429),
        ("/", "192.0.2.2", 200),
        // All of a network that is given to a single customer.
        ("/", "2001:db8:1:2::a", 200),
        ("/", "2001:db8:1:2::b", 200),
        ("/", "[2001:db8:1:2::c]:50000", 429),
        ("/", "2001:db8:1:3::a", 200),
        ("/health", "192.0.2.1", 200),
    ] {
        let request = client.get(format!("{server}{path}"));
        let status = request.header("x-forwarded-for", forwarded_for).send().await?.status();
        println!("{path:<7} for {forwarded_for:<30} -> {status}");
        assert_eq!(status, expected);
    }
    Ok(())
}
