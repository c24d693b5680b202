//! Who is woken, and when.

use super::{in_line, leaky, milliseconds};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready_ok};
use tower_ratelimit::{
    BurstCompensating, KeyedRateLimiter, LeakyBucket, ManualClock, Nanos, Rate, RateLimiter, Strict,
};

#[test]
fn a_manual_clock_wakes_those_who_wait_without_a_runtime() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    limiter.try_acquire().unwrap();
    let mut waiting = in_line(&limiter);
    clock.set(Duration::from_nanos(999_999_999));
    assert_pending!(waiting.poll());
    clock.advance(Duration::from_nanos(1));
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
    assert_eq!(clock.now(), Nanos::new(1_000_000_000));
}

#[tokio::test(start_paused = true)]
async fn slots_closer_than_a_tick_are_all_served_at_the_tick() {
    let pacer = BurstCompensating::new(Rate::per_second(5000).unwrap());
    let limiter = RateLimiter::new(pacer.max_burst(10).unwrap());
    let start = Instant::now();
    for _ in 0..=5000 {
        limiter.acquire().await.unwrap();
    }
    assert_eq!(start.elapsed(), milliseconds(1000));
}

#[tokio::test(start_paused = true)]
async fn a_task_in_a_loop_reaches_the_rate_set() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(100).unwrap()));
    let start = Instant::now();
    for call in 0..100 {
        limiter.acquire().await.unwrap();
        // Work of its own makes it late for some slots, and it catches up.
        if call % 10 == 3 {
            sleep(milliseconds(7)).await;
        }
    }
    assert_eq!(start.elapsed(), milliseconds(990));
}

#[tokio::test(start_paused = true)]
async fn the_lines_of_two_keys_are_apart() {
    let limiter = KeyedRateLimiter::new(Strict::new(Rate::per_second(10).unwrap()));
    let (a, b) = (limiter.key("a"), limiter.key("b"));
    a.try_acquire().unwrap();
    b.try_acquire().unwrap();
    let mut waits_for_a = in_line(&a);
    let waits_for_b = in_line(&b);
    drop(waits_for_b);
    sleep(milliseconds(100)).await;
    assert_ready_ok!(waits_for_a.poll());
    assert!(b.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_wake_for_each_waiter_that_is_served_in_time() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut waiting: Vec<_> = (0..20).map(|_| in_line(&limiter)).collect();
    for served in 0..20 {
        advance(milliseconds(100)).await;
        for (index, waiter) in waiting.iter_mut().enumerate().skip(served) {
            assert_eq!(waiter.is_woken(), index == served, "waiter {index} at slot {served}");
        }
        assert_ready_ok!(waiting[served].poll());
    }
}
