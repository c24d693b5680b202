//! Limits and their lines in all orders in which calls, and those who give up, may come.

mod task;
mod short_way;
mod leaving;
mod control;
mod beside;
mod holding;

use super::RateLimiter;
use crate::{
    algorithm::{Algorithm, LeakyBucket},
    clock::ManualClock,
    nanos::Nanos,
    rate::Rate,
    sync::model,
};
use loom::thread;
use std::time::Duration;

/// A bucket of this interval in nanoseconds, and of so many permits.
fn bucket(interval: u64, capacity: u32) -> LeakyBucket {
    let rate = Rate::new(1, Duration::from_nanos(interval)).expect("a rate");
    LeakyBucket::new(rate).capacity(capacity).expect("a capacity")
}

/// A limiter by a clock that is moved by hand.
fn limiter<A: Algorithm>(algorithm: A, clock: &ManualClock) -> RateLimiter<A> {
    RateLimiter::builder(algorithm).clock(clock.clone()).build()
}

/// A call on the short way, if that is open. 1 if it was let go.
fn pour(limiter: &RateLimiter<LeakyBucket>) -> u32 {
    u32::from(limiter.try_acquire().is_ok())
}

/// How long until the bucket is empty: nobody has a place in line any more, or that would not be all
/// there is.
fn filled(limiter: &RateLimiter<LeakyBucket>) -> Nanos {
    let state = limiter.shared().lanes.existing(limiter.key(), |_, lane| lane.at_rest());
    state.flatten().expect("nobody is in line") - limiter.shared().now()
}

/// Intervals in nanoseconds. With the shorter one, those who were let go in line may come late.
const INTERVALS: [u64; 2] = [10_000_000, 10];

/// A model for each interval.
fn model_each(interruptions: usize, run: fn(u64)) {
    for interval in INTERVALS {
        model(interruptions, move || run(interval));
    }
}

/// So many intervals of this length.
fn intervals(interval: u64, number: u32) -> Nanos {
    Nanos::new(interval) * number
}

/// Lets another thread do something, until its result is asked for.
fn meanwhile<T: 'static>(work: impl FnOnce() -> T + 'static) -> impl FnOnce() -> T {
    let thread = thread::spawn(work);
    || thread.join().expect("no panic")
}
