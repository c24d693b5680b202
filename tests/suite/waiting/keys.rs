//! Waiting for one of many keys, without a handle of its own.

use super::milliseconds;
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_ratelimit::{Concurrency, KeyedRateLimiter, LeakyBucket, Rate, Reason};

fn one_per_100_ms() -> KeyedRateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
    KeyedRateLimiter::new(bucket)
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_for_as_long_as_it_is_kept() {
    let limiter = KeyedRateLimiter::new(Concurrency::new(2).unwrap());
    let permit = limiter.acquire("alice").cost(2).await.unwrap();
    assert_eq!(limiter.try_acquire("alice").unwrap_err().reason(), Reason::UsedUp);
    drop(limiter.try_acquire_many("bob", 2).unwrap());
    assert_eq!(limiter.try_acquire_many("bob", 3).unwrap_err().reason(), Reason::TooCostly);
    let mut waiting = task::spawn(limiter.acquire("alice"));
    assert_pending!(waiting.poll());
    drop(permit);
    let _next = assert_ready_ok!(waiting.poll());
    assert_eq!(limiter.try_acquire_many("alice", 2).unwrap_err().reason(), Reason::UsedUp);
    limiter.try_acquire_many("alice", 1).unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_with_a_handle_and_without_stand_in_one_line() {
    let limiter = one_per_100_ms();
    let alice = limiter.key("alice");
    let start = Instant::now();
    alice.try_acquire().unwrap();
    let (first, second, third, bob) = tokio::join!(
        limiter.acquire("alice"),
        alice.acquire(),
        limiter.acquire("alice").max_wait(milliseconds(300)),
        limiter.acquire("bob").max_wait(milliseconds(0)),
    );
    let waited = [first, second, third, bob].map(|permit| permit.unwrap().waited());
    assert_eq!(waited, [100, 200, 300, 0].map(milliseconds));
    assert_eq!(start.elapsed(), milliseconds(300));
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_takes_nothing() {
    let limiter = one_per_100_ms();
    drop(limiter.acquire("alice"));
    limiter.acquire("alice").await.unwrap();
    drop(task::spawn(limiter.acquire("alice")).enter(|cx, waiting| waiting.poll(cx)));
    sleep(milliseconds(100)).await;
    limiter.acquire("alice").blocking_wait().unwrap();
}
