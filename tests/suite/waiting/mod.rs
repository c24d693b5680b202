//! The line of those who wait.

mod answers;
mod reservations;
mod unpolled;
mod wakes;
mod fates;
mod keys;
mod crowds;

use std::time::Duration;
use tokio_test::{assert_pending, task};
use tower_ratelimit::{Algorithm, LeakyBucket, Rate, RateLimiter, limiter::Acquire};

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn leaky(rate: u32, capacity: u32) -> RateLimiter<LeakyBucket> {
    let rate = Rate::per_second(rate).unwrap();
    RateLimiter::new(LeakyBucket::new(rate).capacity(capacity).unwrap())
}

/// A call in line that was polled once.
fn in_line<A: Algorithm>(limiter: &RateLimiter<A>) -> task::Spawn<Acquire<'_, A>> {
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    waiting
}
