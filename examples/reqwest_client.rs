//! A reqwest client that keeps to a limit for each host it talks to.
//!
//! ```text
//! cargo run --example reqwest_client
//! ```
//!
//! Two servers, five requests to each, all sent off at once: the requests to one server wait for
//! each other, 100 ms apart, and never for those to the other server.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, routing::get};
use std::error::Error;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tower_ratelimit::{
    BurstCompensating, Rate, RateLimitLayer,
    http::{Host, reqwest::Client},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers = [start_server("hello").await?, start_server("bonjour").await?];

    // Ten a second to each host, evenly spaced. Per-key layers refuse unless told to wait.
    let limit = BurstCompensating::new(Rate::per_second(10)?);
    let layer = RateLimitLayer::per_key(Host, limit).wait();
    let client = Client::new(reqwest::Client::builder().no_proxy().build()?, layer);

    let start = Instant::now();
    let mut requests = JoinSet::new();
    for number in 1..=5 {
        for server in &servers {
            let request = client.get(server).send();
            requests.spawn(async move {
                let text = request.await?.text().await?;
                Ok::<_, Box<dyn Error + Send + Sync>>((start.elapsed(), number, text))
            });
        }
    }
    while let Some(answer) = requests.join_next().await {
        let (at, number, text) = answer?.map_err(|error| error as Box<dyn Error>)?;
        println!("{:>4} ms: {text} {number}", at.as_millis());
    }
    Ok(())
}

async fn start_server(text: &'static str) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = Router::new().route("/", get(async move || text));
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}
