//! What a call is answered.

use super::{leaky, milliseconds, window};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceExt};
use tower_ratelimit::{
    BurstCompensating, LeakyBucket, Rate, RateLimitLayer, RateLimited, RateLimiter, Reason, Strict,
};

#[test]
fn r02_numbers_that_no_limit_can_be_built_from_are_typed_errors() {
    for number in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Rate::per_second_f64(number).unwrap_err().parameter(), "permits");
    }
    let rate = Rate::per_second(1).unwrap();
    assert_eq!(Rate::per_second(0).unwrap_err().parameter(), "permits");
    assert_eq!(Rate::new(1, Duration::ZERO).unwrap_err().parameter(), "period");
    assert_eq!(LeakyBucket::new(rate).capacity(0).unwrap_err().parameter(), "capacity");
    let burst = BurstCompensating::new(rate).max_burst(0);
    assert_eq!(burst.unwrap_err().parameter(), "max_burst");
}

#[tokio::test(start_paused = true)]
async fn r03_a_closed_limiter_refuses_at_once_whoever_waits_and_whoever_asks() {
    let limiter = RateLimiter::new(leaky(10, 1));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let reason = |refused: Result<_, RateLimited>| refused.map(drop).unwrap_err().reason();
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    limiter.close();
    limiter.close();
    assert_eq!(reason(assert_ready!(waiting.poll())), Reason::Closed);
    assert_eq!(reason(limiter.acquire().await), Reason::Closed);
    assert_eq!(reason(limiter.try_acquire()), Reason::Closed);
    assert_eq!(reason(limiter.try_acquire_many(0)), Reason::Closed);
    assert_eq!(limiter.reserve().await.unwrap_err().reason(), Reason::Closed);
    assert_eq!(limiter.wrap(async {}).await.unwrap_err().reason(), Reason::Closed);
    limiter.reset();
    limiter.cancel();
    assert_eq!(reason(limiter.try_acquire()), Reason::Closed);
    assert_eq!(start.elapsed(), milliseconds(0));
}

#[tokio::test(start_paused = true)]
async fn r07_a_waiter_dropped_after_its_grant_gives_the_slot_to_the_next() {
    let limiter = RateLimiter::new(leaky(10, 1));
    limiter.acquire().await.unwrap();
    let mut first = task::spawn(limiter.acquire());
    let mut second = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    let start = Instant::now();
    sleep(milliseconds(100)).await;
    // Looking at the limit serves the first, which is dropped before it runs.
    let _ = limiter.peek(1);
    assert!(first.is_woken());
    drop(first);
    assert!(second.is_woken());
    assert_ready!(second.poll()).unwrap();
    assert_eq!(start.elapsed(), milliseconds(100));
}

#[tokio::test(start_paused = true)]
async fn r10_a_cost_above_the_limit_is_an_error_of_its_own() {
    let limiter = RateLimiter::new(window(3, 1000));
    for _ in 0..10 {
        let refused = limiter.acquire().cost(4).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::TooCostly);
        let refused = limiter.try_acquire_many(4).unwrap_err();
        assert_eq!(refused.reason(), Reason::TooCostly);
        assert_eq!(refused.retry_after(), None);
    }
    assert_eq!(limiter.peek(0).remaining, 3);
}

#[test]
fn r13_a_try_never_fails_because_somebody_else_is_asking() {
    let limiter = RateLimiter::new(leaky(1, 1_000_000));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    limiter.try_acquire().unwrap();
                }
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn r30_a_wait_that_is_too_long_fails_at_once_and_a_timeout_when_it_is_over() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.acquire().await.unwrap();
    let start = Instant::now();
    let refused = limiter.acquire().max_wait(milliseconds(999)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(refused.retry_after(), Some(milliseconds(1000)));

    let refused = limiter.acquire().timeout(milliseconds(400)).await.unwrap_err();
    assert_eq!(start.elapsed(), milliseconds(400));
    assert_eq!(refused.retry_after(), Some(milliseconds(600)));
    assert_eq!(refused.max_wait(), Some(milliseconds(400)));

    limiter.acquire().max_wait(milliseconds(600)).await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(1000));
}

#[tokio::test(start_paused = true)]
async fn r31_calls_after_one_of_cost_zero_are_charged() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.acquire().cost(0).await.unwrap();
    limiter.try_acquire().unwrap();
    limiter.try_acquire_many(0).unwrap();
    assert!(limiter.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn r10_the_layer_never_calls_the_inner_service_for_a_refused_call() {
    let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let inner = tower::service_fn(move |(): ()| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async { Ok::<_, std::io::Error>(()) }
    });
    let layer = RateLimitLayer::new(Strict::new(Rate::per_minute(1).unwrap())).refuse();
    let mut service = tower::Layer::layer(&layer, inner);
    service.ready().await.unwrap().call(()).await.unwrap();
    for _ in 0..10 {
        assert!(service.ready().await.unwrap().call(()).await.is_err());
    }
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 1);
}
