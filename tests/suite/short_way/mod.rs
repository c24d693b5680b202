//! The way past the lock leads where the long way leads.
//!
//! [`LeakyBucket`](tower_ratelimit::LeakyBucket) and [`Strict`](tower_ratelimit::Strict) are decided
//! without a lock while they can be; the same limits behind a newtype always under one.

mod long;
mod whole;
mod deeds;
mod side;
mod alike;
mod at_capacity;
mod threads;

use std::time::Duration;
use tower_ratelimit::{LeakyBucket, Rate, Strict};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A permit in so many milliseconds.
fn one_in(milliseconds: u64) -> Rate {
    Rate::new(1, ms(milliseconds)).unwrap()
}

fn bucket(milliseconds: u64, capacity: u32) -> LeakyBucket {
    LeakyBucket::new(one_in(milliseconds)).capacity(capacity).unwrap()
}

fn buckets() -> Vec<LeakyBucket> {
    vec![bucket(100, 4), bucket(50, 6), bucket(100, 2), bucket(1000, 40)]
}

fn stricts() -> Vec<Strict> {
    [100, 50, 333].map(|milliseconds| Strict::new(one_in(milliseconds))).into()
}
