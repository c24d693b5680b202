//! Permits that were granted and are not used yet.

use super::{in_line, leaky, milliseconds};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready_ok};
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, ManualClock, Rate, RateLimiter, SlidingWindow, Strict,
};

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_dropped_goes_to_the_next_in_line_at_once() {
    let limiter = leaky(10, 1);
    let reservation = limiter.reserve().await.unwrap();
    let mut next = in_line(&limiter);
    sleep(milliseconds(30)).await;
    drop(reservation);
    assert!(next.is_woken());
    assert_ready_ok!(next.poll());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_committed_stays_used() {
    let limiter = leaky(10, 1);
    let reservation = limiter.reserve().await.unwrap();
    reservation.commit().unwrap();
    assert!(limiter.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unused_permit_perishes_after_one_interval_to_the_nanosecond() {
    let clock = ManualClock::new();
    let window = SlidingWindow::new(Rate::new(2, milliseconds(300)).unwrap());
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    let idle = limiter.reserve().await.unwrap();
    limiter.try_acquire().unwrap();
    clock.set(Duration::from_nanos(149_999_999));
    assert!(limiter.try_acquire().is_err());
    clock.set(milliseconds(150));
    limiter.try_acquire().unwrap();
    assert!(idle.commit().is_err());
    assert!(limiter.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_an_unused_permit_the_moment_it_perishes() {
    let limiter = RateLimiter::new(SlidingWindow::new(Rate::new(2, milliseconds(300)).unwrap()));
    let start = Instant::now();
    let _idle = limiter.reserve().await.unwrap();
    limiter.try_acquire().unwrap();
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(150));
}

#[tokio::test(start_paused = true)]
async fn strict_counts_from_the_commit() {
    let limiter = RateLimiter::new(Strict::new(Rate::per_second(10).unwrap()));
    let start = Instant::now();
    let reservation = limiter.reserve().await.unwrap();
    sleep(milliseconds(60)).await;
    reservation.commit().unwrap();
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(160));
}

#[tokio::test(start_paused = true)]
async fn a_refund_goes_to_the_next_in_line() {
    let limiter = leaky(10, 2);
    let permit = limiter.try_acquire().unwrap();
    limiter.try_acquire().unwrap();
    let mut next = in_line(&limiter);
    permit.refund();
    assert!(next.is_woken());
    assert_ready_ok!(next.poll());
}

#[tokio::test]
async fn a_permit_that_perished_is_gone_for_a_clock_that_was_read_earlier_too() {
    let clock = ManualClock::new();
    let strict = Strict::new(Rate::per_second(1).unwrap());
    let limiter = RateLimiter::builder(strict).clock(clock.clone()).build();
    let late = limiter.reserve().await.unwrap();
    clock.set(milliseconds(1000));
    limiter.try_acquire().unwrap();
    clock.set(Duration::from_nanos(999_999_999));
    assert!(late.commit().is_err());
}

#[tokio::test]
async fn a_peek_sees_the_permits_that_perished() {
    let clock = ManualClock::new();
    let window = SlidingWindow::new(Rate::per_second(2).unwrap());
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    let _idle = [limiter.reserve().await.unwrap(), limiter.reserve().await.unwrap()];
    clock.set(milliseconds(600));
    assert!(limiter.peek(1).is_granted());
    assert!(limiter.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn many_that_perished_get_back_before_a_line_that_began_without_them() {
    // The line of a key ends when nobody is in it.
    let algorithm = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
    let limiter = KeyedRateLimiter::new(algorithm).key("key");
    limiter.try_acquire().unwrap();
    let mut all: Vec<_> = (0..4).map(|_| in_line(&limiter)).collect();
    for _ in 0..4 {
        advance(milliseconds(100)).await;
        limiter.try_acquire().unwrap_err();
    }
    advance(milliseconds(100)).await;
    // All of them have gone, and another line begins.
    limiter.try_acquire().unwrap();
    let _last = in_line(&limiter);
    for waiting in all.iter_mut().rev() {
        assert_pending!(waiting.poll());
    }
    for waiting in &mut all {
        advance(milliseconds(100)).await;
        assert_ready_ok!(waiting.poll());
    }
}
