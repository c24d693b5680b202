//! What is known of a wait before it begins.

use super::{in_line, leaky, milliseconds};
use std::sync::{Arc, Mutex};
use tokio::time::sleep;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{Rate, RateLimiter, Reason, Strict};

#[tokio::test(start_paused = true)]
async fn a_try_while_others_wait_says_when_its_turn_would_come() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let _first = in_line(&limiter);
    let _second = in_line(&limiter);
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(milliseconds(300)));
    assert_eq!(limiter.peek(1).retry_after(), Some(milliseconds(300)));
    assert!(limiter.try_acquire_many(0).is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_not_even_a_try_when_a_slot_is_free() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut first = in_line(&limiter);
    sleep(milliseconds(100)).await;
    // The slot of the one in line has come, and it has not run yet.
    assert!(limiter.try_acquire().is_err());
    assert_ready_ok!(first.poll());
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_known_before_anything_is_taken() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut first = in_line(&limiter);
    let mut refused = task::spawn(limiter.acquire().max_wait(milliseconds(199)));
    let error = assert_ready_err!(refused.poll());
    assert_eq!(error.reason(), Reason::UsedUp);
    assert_eq!(error.retry_after(), Some(milliseconds(200)));
    let mut accepted = task::spawn(limiter.acquire().max_wait(milliseconds(200)));
    assert_pending!(accepted.poll());
    sleep(milliseconds(100)).await;
    assert_ready_ok!(first.poll());
    sleep(milliseconds(100)).await;
    assert_ready_ok!(accepted.poll());
}

#[tokio::test(start_paused = true)]
async fn the_known_wait_counts_the_costs_of_those_before() {
    let limiter = leaky(10, 5);
    limiter.try_acquire_many(5).unwrap();
    let mut heavy = task::spawn(limiter.acquire().cost(4));
    assert_pending!(heavy.poll());
    let refused = limiter.try_acquire_many(2).unwrap_err();
    assert_eq!(refused.retry_after(), Some(milliseconds(600)));
    assert_eq!(refused.cost(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_with_an_error_of_its_own() {
    let rate = Rate::per_second(10).unwrap();
    let limiter = RateLimiter::builder(Strict::new(rate)).max_waiting(1).name("one").build();
    limiter.try_acquire().unwrap();
    let first = in_line(&limiter);
    let mut second = task::spawn(limiter.acquire());
    let error = assert_ready_err!(second.poll());
    assert_eq!(error.reason(), Reason::QueueFull);
    assert_eq!(error.limit(), Some("one"));
    assert_eq!(error.rate(), Some(rate));
    assert_eq!(error.retry_after(), Some(milliseconds(200)));
    drop(first);
    let _third = in_line(&limiter);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_nobody_waits_for_nothing() {
    let rate = Rate::per_second(10).unwrap();
    let limiter = RateLimiter::builder(Strict::new(rate)).max_waiting(0).build();
    limiter.acquire().await.unwrap();
    let error = limiter.acquire().await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_never_polled_takes_nothing() {
    let limiter = leaky(10, 1);
    drop(limiter.acquire());
    drop(limiter.wrap(async {}));
    assert!(limiter.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_future_runs_only_with_a_permit() {
    let limiter =
        RateLimiter::builder(Strict::new(Rate::per_second(10).unwrap())).max_waiting(0).build();
    assert_eq!(limiter.wrap(async { 1 }).await.unwrap(), 1);
    let ran = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&ran);
    let refused = limiter.wrap(async move { *flag.lock().unwrap() = true }).await;
    assert!(refused.is_err());
    assert!(!*ran.lock().unwrap());
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_future_that_was_ready_takes_no_second_permit() {
    let limiter = leaky(10, 10);
    let mut acquire = task::spawn(limiter.acquire());
    assert_ready_ok!(acquire.poll());
    let _ = acquire.poll();
}
