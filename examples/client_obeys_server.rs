//! A client that hears what a server says about its limits, and keeps to it.
//!
//! ```text
//! cargo run --example client_obeys_server
//! ```
//!
//! The server takes five requests a second. The client does not know that, sends six as fast as it can,
//! and the last one is refused. From then on it pauses until the server may be asked again: so do
//! all its clones, which send no faster after it than they are welcome. What was refused is tried
//! again, so that everything arrives, and nothing is refused a second time.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, routing::get};
use std::error::Error;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tower::{ServiceBuilder, retry::RetryLayer};
use tower_ratelimit::{
    Rate, RateLimitLayer, SlidingWindow,
    http::{HeedLayer, Heeding, Host, PeerIp, RetryPolicy, reqwest::Client},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let url = start_server(start).await?;

    // After a pause four a second: a little less than the server takes, as not all requests take
    // equally long to arrive.
    let heeding = Heeding::new(Rate::per_second(4)?);
    let layers = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new(3)))
        .layer(HeedLayer::new(Host, heeding))
        .into_inner();
    let client = Client::new(reqwest::Client::builder().no_proxy().build()?, layers);

    for request in 1..=6 {
        let status = client.get(&url).send().await?.status();
        println!("{:>4} ms: request {request}: {status}", start.elapsed().as_millis());
        assert_eq!(status, 200);
    }

    let mut callers = JoinSet::new();
    for caller in 1..=4 {
        let (client, url) = (client.clone(), url.clone());
        callers.spawn(async move {
            for request in 1..=3 {
                let status = client.get(&url).send().await?.status();
                let at = start.elapsed().as_millis();
                println!("{at:>4} ms: clone {caller}, request {request}: {status}");
                assert_eq!(status, 200);
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done?.map_err(|error| error as Box<dyn Error>)?;
    }
    Ok(())
}

/// A server with a limit for each address, which says how long to stay away when it refuses.
async fn start_server(start: Instant) -> Result<String, Box<dyn Error>> {
    let limit = SlidingWindow::new(Rate::per_second(5)?);
    let layer = RateLimitLayer::per_key(PeerIp::default(), limit).respond(move |refusal| {
        println!("{:>4} ms: the server refuses", start.elapsed().as_millis());
        Ok(tower_ratelimit::http::too_many_requests(&refusal))
    });
    let app = Router::new().route("/", get(async || "hello")).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let service = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async { axum::serve(listener, service).await });
    Ok(url)
}
