//! What was granted before a reset is not in the books after it.

use std::time::Duration;
use tower_ratelimit::{Concurrency, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, RateLimiter};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_permit_from_before_a_reset_that_is_refunded_gives_nothing_back() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    let before = limiter.try_acquire().unwrap();
    clock.set(ms(100));
    limiter.reset();
    limiter.try_acquire().unwrap();
    clock.set(ms(150));
    before.refund();
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(950)));
}

#[test]
fn a_call_from_before_a_reset_ends_no_other_of_the_same_instant() {
    let clock = ManualClock::new();
    let limit = Concurrency::new(1).unwrap();
    let limiter = RateLimiter::builder(limit).clock(clock).build();
    let before = limiter.try_acquire().unwrap();
    limiter.reset();
    let _after = limiter.try_acquire().unwrap();
    drop(before);
    assert!(limiter.try_acquire().is_err(), "one call is in flight");
}

#[test]
fn a_permit_from_after_a_reset_that_is_refunded_is_there_again() {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(ManualClock::new()).build();
    limiter.try_acquire().unwrap();
    limiter.reset();
    limiter.try_acquire().unwrap().refund();
    limiter.try_acquire().unwrap();

    let limiter = KeyedRateLimiter::builder(bucket).clock(ManualClock::new()).build();
    limiter.key(&1).try_acquire().unwrap();
    limiter.reset();
    for key in 0..100 {
        limiter.key(&key).try_acquire().unwrap().refund();
        limiter.key(&key).try_acquire().unwrap();
    }
}

#[test]
fn a_call_from_after_a_reset_ends() {
    let limit = Concurrency::new(1).unwrap();
    let limiter = RateLimiter::builder(limit).clock(ManualClock::new()).build();
    let _before = limiter.try_acquire().unwrap();
    limiter.reset();
    drop(limiter.try_acquire().unwrap());
    assert!(limiter.try_acquire().is_ok());
}
