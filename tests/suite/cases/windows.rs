//! So many calls in any window.

use super::{milliseconds, together, window};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower_ratelimit::{ManualClock, Rate, RateLimiter, SlidingWindow};

#[test]
fn r08_events_exactly_one_window_apart_are_in_different_windows() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(window(1, 100)).clock(clock.clone()).build();
    assert!(limiter.try_acquire().is_ok());
    clock.set(Duration::from_nanos(99_999_999));
    assert!(limiter.try_acquire().is_err());
    clock.set(milliseconds(100));
    assert!(limiter.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn r09_two_in_300_milliseconds_let_six_go_in_pairs() {
    let limiter = RateLimiter::new(window(2, 300));
    assert_eq!(together(&limiter, 6).await, [0, 0, 300, 300, 600, 600]);
}

#[tokio::test(start_paused = true)]
async fn r12_a_heavy_call_is_served_within_one_window_of_being_first() {
    let limiter = RateLimiter::new(window(10, 500));
    for _ in 0..4 {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            loop {
                limiter.acquire().await.unwrap();
                sleep(milliseconds(1)).await;
            }
        });
    }
    sleep(milliseconds(700)).await;
    // The four before it are let go at 1000 ms: from then on it is the first in line. It takes the
    // whole window, so all others have to leave it.
    let start = Instant::now();
    limiter.acquire().cost(10).await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(1500 - 700));
}

#[tokio::test(start_paused = true)]
async fn r34_several_rates_hold_together_and_the_failing_one_is_named() {
    let rates = [Rate::per_second(3).unwrap(), Rate::new(4, milliseconds(1500)).unwrap()];
    let limiter = RateLimiter::new(SlidingWindow::all(rates).unwrap());
    assert_eq!(together(&limiter, 3).await, [0, 0, 0]);
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.rate(), Some(rates[0]));
    assert_eq!(refused.retry_after(), Some(milliseconds(1000)));

    sleep(milliseconds(1000)).await;
    limiter.try_acquire().unwrap();
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.rate(), Some(rates[1]));
    assert_eq!(refused.retry_after(), Some(milliseconds(500)));

    // From 1000 ms on: two at 1500 (with the one at 1000 three in a second), one at 2000 (four in
    // a second and a half), one more each time that one leaves.
    assert_eq!(together(&limiter, 6).await, [500, 500, 1000, 1500, 2000, 2000]);
}
