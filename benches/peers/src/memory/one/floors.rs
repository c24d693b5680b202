//! The least that a decision can cost: reading the time, and changing a word.

use super::limited::{Limited, limited};
use crate::harness::Limit;
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

/// Nanoseconds since some instant, up to 584 years.
pub trait Time: Send + Sync + 'static {
    fn now(&self) -> u64;
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Time for F {
    #[inline(always)]
    fn now(&self) -> u64 {
        self()
    }
}

pub fn std() -> impl Time {
    let start = Instant::now();
    move || start.elapsed().as_nanos() as u64
}

pub fn quanta() -> impl Time {
    let clock = quanta::Clock::new();
    let start = clock.raw();
    move || clock.delta_as_nanos(start, clock.raw())
}

pub fn coarse() -> impl Time {
    || {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
}

/// Reading the time, and nothing else; the answer is the one that is expected.
pub fn clock(limit: Limit, time: impl Time) -> Box<dyn Limited> {
    limited(move || (time.now() != 0) == (limit == Limit::Ample))
}

/// The generic cell rate algorithm in one word.
pub fn gcra(limit: Limit, time: impl Time) -> Box<dyn Limited> {
    let next = AtomicU64::new(0);
    let (period, burst) = limit.quota();
    let period = period.as_nanos() as u64;
    let most = period * u64::from(burst);
    limited(move || take(&next, time.now(), period, most))
}

/// Takes the next slot, unless that would be `most` ahead.
#[inline(always)]
pub fn take(next: &AtomicU64, now: u64, period: u64, most: u64) -> bool {
    let mut slot = next.load(Relaxed);
    loop {
        let after = slot.max(now) + period;
        if after - now > most {
            return false;
        }
        match next.compare_exchange_weak(slot, after, Relaxed, Relaxed) {
            Ok(_) => return true,
            Err(other) => slot = other,
        }
    }
}
