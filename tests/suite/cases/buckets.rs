//! Bursts, and permits that arrive.

use super::{leaky, milliseconds, together, tokens};
use std::time::Duration;
use tokio::time::sleep;
use tower_ratelimit::RateLimiter;

#[tokio::test(start_paused = true)]
async fn r01_a_leaky_bucket_drains_empties_and_fills_again() {
    let limiter = RateLimiter::new(leaky(50, 3));
    limiter.acquire().await.unwrap();
    sleep(milliseconds(100)).await;
    assert_eq!(together(&limiter, 6).await, [0, 0, 0, 20, 40, 60]);
}

#[tokio::test(start_paused = true)]
async fn r18_a_caller_slower_than_the_refill_of_a_token_bucket_never_waits() {
    let limiter = RateLimiter::new(tokens(1, 100));
    for _ in 0..20 {
        limiter.acquire().max_wait(Duration::ZERO).await.unwrap();
        sleep(milliseconds(150)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn r19_a_saturated_token_bucket_lets_go_one_for_each_that_arrives() {
    let limiter = RateLimiter::new(tokens(1, 100));
    assert_eq!(together(&limiter, 5).await, [0, 100, 200, 300, 400]);
}

#[tokio::test(start_paused = true)]
async fn r20_callers_refused_by_a_token_bucket_leave_it_unchanged() {
    let limiter = RateLimiter::new(tokens(1, 1000));
    limiter.acquire().await.unwrap();
    for _ in 0..6 {
        let refused = limiter.acquire().max_wait(milliseconds(500)).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(milliseconds(1000)));
    }
    sleep(milliseconds(1000)).await;
    assert!(limiter.try_acquire().is_ok());
}

#[test]
fn r21_a_refill_above_the_capacity_is_a_typed_error() {
    let invalid = tokens(3, 100).capacity(2).unwrap_err();
    assert_eq!(invalid.parameter(), "capacity");
}

#[tokio::test(start_paused = true)]
async fn permits_of_a_token_bucket_that_arrive_together_are_used_together() {
    let limiter = RateLimiter::new(tokens(3, 100).initial(1).unwrap());
    assert_eq!(together(&limiter, 8).await, [0, 100, 100, 100, 200, 200, 200, 300]);
    // The first caller waits for the first that arrives.
    let empty = RateLimiter::new(tokens(1, 100).initial(0).unwrap());
    assert_eq!(together(&empty, 2).await, [100, 200]);
}

#[tokio::test(start_paused = true)]
async fn r20_refused_callers_leave_the_state_unchanged() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.acquire().await.unwrap();
    for _ in 0..6 {
        let refused = limiter.acquire().max_wait(milliseconds(500)).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(milliseconds(1000)));
        assert_eq!(refused.max_wait(), Some(milliseconds(500)));
    }
    sleep(milliseconds(1000)).await;
    assert!(limiter.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn r33_twenty_calls_through_a_bucket_of_ten_take_two_seconds() {
    let limiter = RateLimiter::new(leaky(5, 10));
    let mut expected = vec![0; 10];
    expected.extend((1..=10).map(|slot| slot * 200));
    assert_eq!(together(&limiter, 20).await, expected);
}
