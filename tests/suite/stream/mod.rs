//! Streams, sinks and bytes at the pace of a limit.

mod items;
mod sinks;
mod reads;
mod writes;
mod vendor;

use std::time::Duration;
use tokio::time::Instant;
use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn leaky(a_second: u32, capacity: u32) -> RateLimiter<LeakyBucket> {
    let rate = Rate::per_second(a_second).unwrap();
    RateLimiter::new(LeakyBucket::new(rate).capacity(capacity).unwrap())
}

fn since(start: Instant) -> u128 {
    start.elapsed().as_millis()
}

/// Runs a future on a time of its own that stands still but for sleepers.
fn paused<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}
