//! Axum routes that are limited for each client address, each route with a limit of its own.
//!
//! ```text
//! cargo run --example axum_per_ip
//! ```
//!
//! One address may call `/` ten times a minute and `/login` three times. What is above that is
//! answered with 429 and `Retry-After`. Five calls to each route come from one address, then one
//! from another, which has its own limits.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, routing::get};
use http::{StatusCode, header::RETRY_AFTER};
use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::net::TcpListener;
use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow, http::PeerIp};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A layer on a route has its own limits; one on the router is shared by its routes.
    let pages = SlidingWindow::new(Rate::per_minute(10)?);
    let logins = SlidingWindow::all([Rate::per_minute(3)?, Rate::per_hour(20)?])?;
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::per_key(PeerIp::default(), pages))
        .route(
            "/login",
            get(async || "welcome").layer(RateLimitLayer::per_key(PeerIp::default(), logins)),
        );

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    // This is what tells the limit who is connected.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, app).await });

    for (path, expected) in [("/", [200; 5]), ("/login", [200, 200, 200, 429, 429])] {
        for expected in expected {
            assert_eq!(call(&server, path, Ipv4Addr::LOCALHOST).await?, expected);
        }
    }
    match call(&server, "/login", Ipv4Addr::new(127, 0, 0, 2)).await {
        Ok(status) => assert_eq!(status, 200),
        Err(_) => println!("this machine has no second loopback address to call from"),
    }
    Ok(())
}

async fn call(server: &str, path: &str, from: Ipv4Addr) -> Result<StatusCode, Box<dyn Error>> {
    let client = reqwest::Client::builder().no_proxy().local_address(Some(from.into())).build()?;
    let response = client.get(format!("{server}{path}")).send().await?;
    let status = response.status();
    print!("{from} {path:<6} -> {status}");
    match response.headers().get(RETRY_AFTER) {
        Some(seconds) => println!(", retry after {} s", seconds.to_str()?),
        None => println!(": {}", response.text().await?),
    }
    Ok(status)
}
