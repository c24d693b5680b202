//! One test for each case that the predecessors get wrong, on virtual time.

mod pacing;
mod buckets;
mod windows;
mod in_flight;
mod asking;
mod keys;

use std::time::Duration;
use tokio::time::Instant;
use tower_ratelimit::{Algorithm, LeakyBucket, Rate, RateLimiter, SlidingWindow, TokenBucket};

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn leaky(rate: u32, capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(rate).unwrap()).capacity(capacity).unwrap()
}

fn window(permits: u32, milliseconds: u64) -> SlidingWindow {
    let period = Duration::from_millis(milliseconds);
    SlidingWindow::new(Rate::new(permits, period).unwrap())
}

fn tokens(amount: u32, milliseconds: u64) -> TokenBucket {
    let every = Duration::from_millis(milliseconds);
    TokenBucket::new(Rate::new(amount, every).unwrap())
}

/// Lets this many tasks ask at the same time, and returns when each was let go, in order.
async fn together<A: Algorithm>(limiter: &RateLimiter<A>, tasks: usize) -> Vec<u128> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                limiter.acquire().await.unwrap();
                start.elapsed().as_millis()
            })
        })
        .collect();
    let mut instants = Vec::new();
    for task in tasks {
        instants.push(task.await.unwrap());
    }
    instants
}
