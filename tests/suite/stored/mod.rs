//! Limits that a store keeps.

pub(crate) mod slow;
mod dice;

mod asking;
mod batches;
mod bounded;
#[cfg(all(feature = "sqlite", feature = "redis"))]
mod cancelling;
mod changing;
mod chaos;
mod control;
mod deadlines;
mod dropping;
mod failing;
mod histories;
mod holding;
mod layers;
mod order;
mod owners;
mod recovering;
mod remembering;
mod resetting;
mod runtimes;
mod settling;
mod shards;

pub(crate) use slow::Slow;

use dice::Dice;
use std::time::Duration;
use tokio::time::Instant;
use tower_ratelimit::{
    Algorithm, LeakyBucket, OnFailure, Rate, RateLimited, StoredBuilder, StoredLimiter,
};

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A permit every so many milliseconds, and a burst of `capacity`.
pub(crate) fn bucket(milliseconds: u64, capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::new(1, ms(milliseconds)).unwrap()).capacity(capacity).unwrap()
}

pub(crate) fn builder<A: Algorithm>(store: &Slow<A>, algorithm: A) -> StoredBuilder<A, Slow<A>> {
    StoredLimiter::builder("api", store.clone(), algorithm, OnFailure::Refuse)
}

fn limiter<A: Algorithm>(store: &Slow<A>, algorithm: A) -> StoredLimiter<A, Slow<A>> {
    builder(store, algorithm).build().unwrap()
}

/// The refusal, and nothing else.
pub(crate) fn refused<T>(result: Result<T, RateLimited>) -> RateLimited {
    match result {
        Err(refusal) => refusal,
        Ok(_) => panic!("let through"),
    }
}

/// How many milliseconds have passed since.
pub(crate) fn since(start: Instant) -> u128 {
    let passed = start.elapsed();
    assert_eq!(passed.subsec_nanos() % 1_000_000, 0, "{passed:?}");
    passed.as_millis()
}
