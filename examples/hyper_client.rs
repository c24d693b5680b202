//! hyper's own client behind the layers of a client: a limit for each host, and a pause where a server
//! asks for one.
//!
//! ```text
//! cargo run --example hyper_client
//! ```
//!
//! The client of `hyper-util` is a tower service. It waits its turn for a limit of ten a second; the
//! server refuses the third request and wants to be left alone for a second.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{net::TcpListener, time::Instant};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_ratelimit::{
    BurstCompensating, Rate, RateLimitLayer,
    http::{HeedLayer, Heeding, Host},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = start_server().await?;
    let rate = Rate::per_second(10)?;
    let mut client = ServiceBuilder::new()
        .layer(RateLimitLayer::per_key(Host, BurstCompensating::new(rate)).wait())
        .layer(HeedLayer::new(Host, Heeding::new(rate)))
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    let start = Instant::now();
    for number in 1..=6 {
        let request = Request::get(&url).body(Empty::new())?;
        let response = client.ready().await?.call(request).await?;
        let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
        let (at, text) = (start.elapsed().as_millis(), String::from_utf8_lossy(&body).into_owned());
        println!("{at:>4} ms: request {number}: {status} {text}");
    }
    Ok(())
}

async fn start_server() -> Result<String, Box<dyn Error>> {
    let requests = Arc::new(AtomicU32::new(0));
    let handler = async move || match requests.fetch_add(1, Ordering::Relaxed) {
        2 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        _ => "hello".into_response(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = Router::new().route("/", get(handler));
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}
