//! A service that refuses is not dead: `poll_ready` is ready, and the call fails.

use super::{
    ms, one_per,
    outage::Outage,
    probe::{Broken, Probe},
    refusal, until,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{Error, RateLimitLayer, RateLimited, RateLimiter, Reason};
use tower_test::mock::Spawn;

/// Points 2 and 6.
#[tokio::test(start_paused = true)]
async fn a_service_that_will_refuse_is_ready_and_leaves_the_inner_one_alone() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    watch.close();
    let mut service = Spawn::new(RateLimitLayer::new(limiter).refuse().layer(probe));
    assert_ready_ok!(service.poll_ready());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(refusal(service.call(1).await).reason(), Reason::UsedUp);
    assert_eq!((watch.polls(), watch.calls()), (0, vec![]));
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn a_service_that_would_wait_too_long_is_ready_and_the_call_fails() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    let mut service = Spawn::new(RateLimitLayer::new(limiter).max_wait(ms(99)).layer(probe));
    assert_ready_ok!(service.poll_ready());
    let refusal = refusal(service.call(1).await);
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::UsedUp, Some(ms(100))));
    assert_eq!((watch.polls(), watch.calls()), (0, vec![]));
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn a_service_that_finds_the_line_full_is_ready_and_the_call_fails() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::builder(one_per(100)).max_waiting(1).build();
    limiter.try_acquire().unwrap();
    let layer = RateLimitLayer::new(limiter);
    let mut waiting = Spawn::new(layer.layer(probe.clone()));
    assert_pending!(waiting.poll_ready());
    let mut service = Spawn::new(layer.layer(probe));
    assert_ready_ok!(service.poll_ready());
    assert_eq!(refusal(service.call(1).await).reason(), Reason::QueueFull);
    assert_eq!((watch.polls(), watch.calls()), (0, vec![]));
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn a_limiter_that_fails_after_a_wait_fails_the_call_and_not_the_service() {
    let (probe, watch) = Probe::new();
    let outage = Outage { reason: Reason::UsedUp, after: Some(ms(30)) };
    let mut service = RateLimitLayer::new(outage).layer(probe);
    let start = Instant::now();
    for request in 0..3 {
        let ready = service.ready().await;
        refusal(ready.unwrap().call(request).await);
    }
    assert_eq!(start.elapsed(), ms(90));
    assert_eq!((watch.polls(), watch.calls()), (0, vec![]));
}

/// Point 2, and a cost that can never be had (case R10).
#[tokio::test(start_paused = true)]
async fn ten_calls_that_can_never_be_granted_do_not_reach_the_inner_service() {
    let (probe, watch) = Probe::new();
    let outage = Outage { reason: Reason::TooCostly, after: None };
    let mut service = RateLimitLayer::new(outage).layer(probe.clone());
    let mut keyed = RateLimitLayer::per_key(|request: &u32| *request, outage).wait().layer(probe);
    for request in 0..10 {
        let result = service.ready().await.unwrap().call(request).await;
        assert_eq!(refusal(result).reason(), Reason::TooCostly);
        let result = keyed.ready().await.unwrap().call(request).await;
        assert_eq!(refusal(result).reason(), Reason::TooCostly);
    }
    assert!(watch.calls().is_empty());
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn a_service_that_has_refused_goes_on_working() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::new(one_per(100)).refuse().layer(probe);
    let start = Instant::now();
    for (at, request) in [(0, 0), (50, 1), (99, 2), (100, 3), (150, 4), (200, 5)] {
        until(start, at).await;
        let _ = service.ready().await.unwrap().call(request).await;
    }
    assert_eq!(watch.calls(), [0, 3, 5]);
    assert_eq!(watch.called_at(), [0, 100, 200]);
}

/// A try at exactly `retry_after` succeeds, whatever the service found out earlier and nobody
/// asked it for.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_nobody_fetched_is_not_given_to_a_later_call() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let mut service = Spawn::new(RateLimitLayer::new(limiter).refuse().layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 100).await;
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(watch.calls(), [1]);
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn an_error_of_the_inner_service_is_passed_on_and_the_permit_goes_back() {
    let (probe, watch) = Probe::new();
    watch.break_down();
    let layer = RateLimitLayer::new(one_per(100));
    let mut service = Spawn::new(layer.layer(probe.clone()));
    assert_eq!(assert_ready_err!(service.poll_ready()), Error::Inner(Broken));
    let mut next = Spawn::new(layer.layer(probe));
    assert_pending!(next.poll_ready());
    drop(service);
    watch.open();
    assert!(next.is_woken());
    assert_ready_ok!(next.poll_ready());
    assert_eq!(next.call(1).await, Ok(1));
}

/// Point 17.
#[tokio::test(start_paused = true)]
async fn a_layer_with_a_response_for_refusals_answers_with_it() {
    let (probe, watch) = Probe::new();
    let answer = |refusal: RateLimited| match refusal.retry_after() {
        Some(wait) if wait > ms(50) => Err(Broken),
        _ => Ok(429),
    };
    let layer = RateLimitLayer::new(one_per(100)).refuse().respond(answer);
    let mut service = layer.layer(probe);
    let start = Instant::now();
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    assert_eq!(service.ready().await.unwrap().call(2).await, Err(Broken));
    until(start, 50).await;
    assert_eq!(service.ready().await.unwrap().call(3).await, Ok(429));
    assert_eq!(watch.calls(), [1]);
}
