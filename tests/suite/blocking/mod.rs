//! Threads in the line of those who wait. The clock is a manual one, so nothing passes by itself.

mod line;
mod functions;

use std::{thread, time::Duration};
use tower_ratelimit::{Algorithm, LeakyBucket, ManualClock, Rate, RateLimiter};

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One call every 100 ms; the first one has been made.
fn used_up(clock: &ManualClock) -> RateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    limiter.try_acquire().unwrap();
    limiter
}

/// Returns once a call that comes now would have to wait this long: whoever was started stands in
/// line.
fn until_turn_is_in<A: Algorithm>(limiter: &RateLimiter<A>, wait: Duration) {
    while limiter.peek(1).retry_after() != Some(wait) {
        thread::yield_now();
    }
}
