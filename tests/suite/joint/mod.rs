//! Several limits taken together or not at all.

mod taking;
mod threads;
mod oracle;
mod chaos;
mod lines;
mod waits;
mod giving_back;
mod keys;
mod layer;
mod control;
mod alike;
mod custom;

use std::time::Duration;
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    JointBuilder, JointLimiter, LeakyBucket, LimitId, Rate, SlidingWindow,
    limiter::{JointAcquire, OnLimits},
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A permit every so many milliseconds, and no burst.
fn one_per(milliseconds: u64) -> LeakyBucket {
    LeakyBucket::new(Rate::new(1, ms(milliseconds)).unwrap()).capacity(1).unwrap()
}

fn window(permits: u32, milliseconds: u64) -> SlidingWindow {
    SlidingWindow::new(Rate::new(permits, ms(milliseconds)).unwrap())
}

/// Two limits of a permit every so many milliseconds.
fn two(builder: JointBuilder, first: u64, second: u64) -> (JointLimiter, LimitId, LimitId) {
    let mut limits = builder;
    let a = limits.limit("a", one_per(first)).unwrap();
    let b = limits.limit("b", one_per(second)).unwrap();
    (limits.build(), a, b)
}

/// A call in line that was polled once.
fn in_line(call: &OnLimits) -> task::Spawn<JointAcquire> {
    let mut waiting = task::spawn(call.acquire());
    assert_pending!(waiting.poll());
    waiting
}
