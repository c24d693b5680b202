//! The limit as one middleware among others of a `reqwest-middleware` client.
//!
//! ```text
//! cargo run --example reqwest_middleware
//! ```
//!
//! The server fails every other time, and a middleware then tries again. The limit stands inside of
//! it, so that every attempt takes a permit: three requests are six attempts, at least 100 ms apart.
//! A client that does not wait counts on the same limit, and learns when to come again.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, routing::get};
use http::{Extensions, StatusCode};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Next};
use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::{net::TcpListener, time::Instant};
use tower_ratelimit::{
    Rate, RateLimited, RateLimiter, Strict, http::reqwest_middleware::RateLimitMiddleware,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let url = start_server(start).await?;
    let client = reqwest::Client::builder().no_proxy().build()?;

    let limiter = RateLimiter::new(Strict::new(Rate::per_second(10)?));
    let waits = RateLimitMiddleware::new(limiter.clone());
    // What is added first is outside.
    let patient = ClientBuilder::new(client.clone()).with(try_again).with(waits).build();
    let refuses = RateLimitMiddleware::new(limiter).refuse();
    let hasty = ClientBuilder::new(client).with(refuses).build();

    for request in 1..=3 {
        let response = patient.get(&url).send().await?;
        println!("request {request}: {}", response.status());
    }
    match hasty.get(&url).send().await {
        Ok(response) => println!("request 4: {}", response.status()),
        Err(reqwest_middleware::Error::Middleware(error)) => {
            match error.downcast::<RateLimited>() {
                Ok(refusal) => println!("request 4: {refusal}"),
                Err(error) => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

type Answer<'a> = Pin<Box<dyn Future<Output = reqwest_middleware::Result<Response>> + Send + 'a>>;

fn try_again<'a>(request: Request, extensions: &'a mut Extensions, next: Next<'a>) -> Answer<'a> {
    Box::pin(async move {
        let again = request.try_clone();
        let response = next.clone().run(request, extensions).await?;
        match again {
            Some(again) if response.status().is_server_error() => next.run(again, extensions).await,
            _ => Ok(response),
        }
    })
}

async fn start_server(start: Instant) -> Result<String, Box<dyn Error>> {
    let attempts = Arc::new(AtomicU32::new(0));
    let handler = async move || {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        println!("{:>4} ms: attempt {attempt} has come in", start.elapsed().as_millis());
        match attempt % 2 {
            0 => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = Router::new().route("/", get(handler));
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}
