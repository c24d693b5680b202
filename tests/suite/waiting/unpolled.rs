//! Waiters that give up, or that nobody polls.

use super::{in_line, leaky, milliseconds};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready_ok};
use tower_ratelimit::{
    BurstCompensating, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, RateLimiter,
};

#[tokio::test(start_paused = true)]
async fn when_the_first_in_line_gives_up_the_next_one_moves_up() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let first = in_line(&limiter);
    let second = limiter.clone();
    let second = tokio::spawn(async move {
        second.acquire().await.unwrap();
        Instant::now()
    });
    let start = Instant::now();
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(second.await.unwrap() - start, milliseconds(100));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_nobody_polls_does_not_hold_up_the_others() {
    let limiter = leaky(10, 1);
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let abandoned = in_line(&limiter);
    // It looks after the abandoned one when its own turn would have come, and lets it go.
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(300));
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(400));
    drop(abandoned);
}

#[tokio::test(start_paused = true)]
async fn waiters_let_go_together_and_not_polled_cannot_run_together_later() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut abandoned: Vec<_> = (0..5).map(|_| in_line(&limiter)).collect();
    for _ in 0..10 {
        sleep(milliseconds(100)).await;
        let _ = limiter.peek(1);
    }
    let let_go = abandoned.iter_mut().map(|waiting| waiting.poll().is_ready());
    assert_eq!(let_go.filter(|ready| *ready).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_was_let_go_and_did_not_run_keeps_its_place() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut first = in_line(&limiter);
    let mut second = in_line(&limiter);
    sleep(milliseconds(100)).await;
    let _ = limiter.peek(1);
    // Let go at 100 ms; its permit perished at 200 ms.
    sleep(milliseconds(150)).await;
    assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    sleep(milliseconds(100)).await;
    assert_ready_ok!(second.poll());
}

fn once_a_second(clock: &ManualClock) -> KeyedRateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    KeyedRateLimiter::builder(bucket).clock(clock.clone()).build()
}

#[test]
fn a_waiter_whose_key_was_forgotten_meanwhile_is_served() {
    let clock = ManualClock::new();
    let limiter = once_a_second(&clock);
    let key = limiter.key("k");
    key.try_acquire().unwrap();
    let mut asleep = in_line(&key);
    let mut awake = in_line(&key);
    clock.advance(milliseconds(1000));
    assert_pending!(awake.poll());
    clock.advance(milliseconds(1000));
    assert_ready_ok!(awake.poll());
    assert!(key.try_acquire().is_err());
    clock.advance(milliseconds(10_000));
    for other in 0..200_u32 {
        limiter.key(&other).try_acquire().unwrap();
    }
    assert_ready_ok!(asleep.poll());
}

#[test]
fn time_in_which_a_waiter_did_not_look_earns_it_nothing() {
    let clock = ManualClock::new();
    let pacer = BurstCompensating::new(Rate::per_second(10).unwrap());
    let limiter = RateLimiter::builder(pacer).clock(clock.clone()).build();
    limiter.try_acquire().unwrap();
    let mut asleep = in_line(&limiter);
    clock.advance(milliseconds(100));
    let _ = limiter.peek(1);
    clock.advance(milliseconds(3_600_000));
    assert_ready_ok!(asleep.poll());
    assert!(limiter.try_acquire().is_err());
}
