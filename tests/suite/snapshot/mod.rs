//! Limiters that go on from where earlier ones stood.

use std::{fmt::Display, str::FromStr, time::Duration};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Invalid, KeyedRateLimiter, ManualClock, RateLimiter, Snapshot,
    algorithm::StoredState,
};

mod continuing;
mod garbage;
mod keys;
mod left_out;
mod waiting;

const SECOND: Duration = Duration::from_secs(1);
const NANOSECOND: Duration = Duration::from_nanos(1);

/// An algorithm that can be restored.
trait Restored: Algorithm<State: StoredState> + Display + FromStr {}
impl<A: Algorithm<State: StoredState> + Display + FromStr> Restored for A {}

fn read(line: &str) -> AnyAlgorithm {
    line.parse().unwrap()
}

fn single<A: Algorithm>(limit: A, clock: &ManualClock) -> RateLimiter<A> {
    RateLimiter::builder(limit).clock(clock.clone()).build()
}

fn keyed<A: Algorithm>(limit: A, clock: &ManualClock) -> KeyedRateLimiter<A> {
    KeyedRateLimiter::builder(limit).clock(clock.clone()).build()
}

/// What is there after a restart that took no time.
fn at_once<A: Restored>(
    snapshot: &Snapshot,
    limit: A,
    clock: &ManualClock,
) -> Result<RateLimiter<A>, Invalid> {
    let builder = RateLimiter::builder(limit).clock(clock.clone());
    builder.restore_at(snapshot, snapshot.taken_at())
}

/// The same for a limit per key.
fn keyed_at_once<A: Restored>(
    snapshot: &Snapshot,
    limit: A,
    clock: &ManualClock,
) -> Result<KeyedRateLimiter<A>, Invalid> {
    let builder = KeyedRateLimiter::builder(limit).clock(clock.clone());
    builder.restore_at(snapshot, snapshot.taken_at())
}

/// How long a call has to wait; no time if it passes.
fn wait<A: Algorithm>(limiter: &RateLimiter<A>, cost: u32) -> Option<Duration> {
    match limiter.try_acquire_many(cost) {
        Ok(_) => Some(Duration::ZERO),
        Err(refused) => refused.retry_after(),
    }
}
