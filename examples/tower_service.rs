//! Any tower service behind a limit: a call beyond it waits, fails, or is answered otherwise.
//!
//! ```text
//! cargo run --example tower_service
//! ```
//!
//! Three layers around the same service, each with the same limit: two calls at once, then one
//! every 100 ms. Four calls come to each. The first layer lets the last two wait, the second
//! refuses them with an error that says when to come again, the third answers them itself.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use std::{convert::Infallible, fmt::Debug};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{Error, Invalid, LeakyBucket, Rate, RateLimitLayer, RateLimited};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let twice = service_fn(async |n: u32| Ok::<_, Infallible>(n * 2));

    println!("waits:");
    let layer = RateLimitLayer::new(limit()?);
    call_four_times(ServiceBuilder::new().layer(layer).service(twice)).await;

    println!("fails:");
    let layer = RateLimitLayer::new(limit()?).refuse();
    let service = ServiceBuilder::new().layer(layer).service(twice);
    // The error of the inner service and a refusal are two variants of one error.
    call_four_times(service.map_err(|error| match error {
        Error::Limited(refusal) => refusal.to_string(),
        Error::Inner(never) => match never {},
    }))
    .await;

    println!("is answered otherwise:");
    // The layer then keeps the error type of the service: nothing can fail here.
    let layer = RateLimitLayer::new(limit()?).refuse().respond(|_: RateLimited| Ok(0));
    call_four_times(ServiceBuilder::new().layer(layer).service(twice)).await;
    Ok(())
}

fn limit() -> Result<LeakyBucket, Invalid> {
    LeakyBucket::new(Rate::per_second(10)?).capacity(2)
}

async fn call_four_times<S>(mut service: S)
where
    S: Service<u32, Response = u32, Error: Debug>,
{
    let start = Instant::now();
    for n in 1..=4 {
        // Waiting takes place in `ready`, where tower services say that they are busy.
        let answer = match service.ready().await {
            Ok(service) => service.call(n).await,
            Err(error) => Err(error),
        };
        println!("  {:>4} ms: {n} -> {answer:?}", start.elapsed().as_millis());
    }
}
