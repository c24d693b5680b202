//! How long a call waits, on which terms, and what it then finds.

use super::{
    at_once, ms, one_per,
    probe::{Broken, Probe},
    refusal, strict, until, window,
};
use std::time::Duration;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{
    BurstCompensating, Error, JointLayer, JointLimiter, LeakyBucket, ManualClock, Patience, Rate,
    RateLimitLayer, RateLimiter, Reason,
};
use tower_test::mock::Spawn;

/// Point 16.
#[tokio::test(start_paused = true)]
async fn a_layer_waits_unless_told_otherwise_and_lets_go_on_exact_slots() {
    let (probe, watch) = Probe::new();
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(3).unwrap();
    let mut service = RateLimitLayer::new(bucket).layer(probe);
    for request in 0..7 {
        assert_eq!(service.ready().await.unwrap().call(request).await, Ok(request));
    }
    assert_eq!(watch.called_at(), [0, 0, 0, 100, 200, 300, 400]);
}

#[tokio::test(start_paused = true)]
async fn clones_are_let_go_in_the_order_in_which_they_asked() {
    let (probe, watch) = Probe::new();
    let service = RateLimitLayer::new(window(2, 100)).layer(probe);
    let calls: Vec<_> =
        (0..6).map(|request| tokio::spawn(service.clone().oneshot(request))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.calls(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(watch.called_at(), [0, 0, 100, 100, 200, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_only_waits_waits_with_every_algorithm() {
    async fn slots(layer: impl Layer<Probe, Service: Service<u32>>) -> Vec<u128> {
        let (probe, watch) = Probe::new();
        let mut service = layer.layer(probe);
        for request in 0..4 {
            let Ok(ready) = service.ready().await else { panic!("the probe does not fail") };
            let _ = ready.call(request).await;
        }
        watch.called_at()
    }
    let paced = BurstCompensating::new(Rate::per_second(10).unwrap());
    assert_eq!(slots(RateLimitLayer::wait_only(one_per(100))).await, [0, 100, 200, 300]);
    assert_eq!(slots(RateLimitLayer::wait_only(strict(100))).await, [0, 100, 200, 300]);
    assert_eq!(slots(RateLimitLayer::wait_only(paced)).await, [0, 100, 200, 300]);
    assert_eq!(slots(RateLimitLayer::wait_only(window(2, 200))).await, [0, 0, 200, 200]);
}

/// When the second call is refused of a layer that waits for 50 ms, and its limit lets one pass every 100 ms.
async fn refused_at<L>(layer: L) -> u128
where
    L: Layer<Probe, Service: Service<u32, Response = u32, Error = Error<Broken>>>,
{
    let (probe, _) = Probe::new();
    let (mut service, start) = (layer.layer(probe), Instant::now());
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let refused = refusal(service.ready().await.unwrap().call(1).await);
    assert_eq!((refused.reason(), refused.max_wait()), (Reason::UsedUp, Some(ms(50))));
    start.elapsed().as_millis()
}

/// Only the one per key had that once, for each request.
#[tokio::test(start_paused = true)]
async fn every_layer_can_wait_in_the_hope_that_others_give_up() {
    let mut limits = JointLimiter::builder();
    let limit = limits.limit("one", one_per(100)).unwrap();
    let rules = move |limits: &JointLimiter, _: &u32| limits.on(limit, &());
    let joint = JointLayer::new(limits.build(), rules);
    for (patience, at) in [(Patience::MaxWait(ms(50)), 0), (Patience::Timeout(ms(50)), 50)] {
        let together = RateLimitLayer::new(one_per(100));
        assert_eq!(refused_at(together.patience(patience)).await, at);
        let per_key = RateLimitLayer::per_key(|request: &u32| *request, one_per(100));
        assert_eq!(refused_at(per_key.patience(patience)).await, at);
        assert_eq!(refused_at(joint.clone().patience(patience)).await, at);
        tokio::time::advance(ms(100)).await;
    }
}

/// What a limiter has not got by itself is done by this, and comes to nothing.
trait TakeHold {
    fn cancel(&self) {}
    fn reset(&self) {}
    fn close(&self) {}
}

impl<L> TakeHold for L {}

/// It has no way to say that a call was refused, and panicked when one was.
#[tokio::test(start_paused = true)]
async fn nobody_takes_hold_of_the_limit_of_a_layer_that_only_waits() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::wait_only(one_per(100)).layer(probe);
    let mut other = service.clone();
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let mut waiting = task::spawn(other.ready());
    assert_pending!(waiting.poll());
    service.limiter().cancel();
    service.limiter().reset();
    service.limiter().close();
    drop(waiting);
    assert_eq!(other.ready().await.unwrap().call(2).await, Ok(2));
    assert_eq!(service.ready().await.unwrap().call(3).await, Ok(3));
    assert_eq!(watch.called_at(), [0, 100, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_as_long_as_accepted_is_waited() {
    let (probe, watch) = Probe::new();
    let service = RateLimitLayer::new(one_per(100)).max_wait(ms(100)).layer(probe);
    assert_eq!(service.clone().oneshot(1).await, Ok(1));
    assert_eq!(service.oneshot(2).await, Ok(2));
    assert_eq!(watch.called_at(), [0, 100]);
}

/// A maximum wait shorter than the wait needed fails at once (case R30).
#[tokio::test(start_paused = true)]
async fn a_call_that_would_wait_longer_than_accepted_fails_at_once_and_takes_nothing() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::builder(one_per(100)).name("outgoing").build();
    let service = RateLimitLayer::new(limiter).max_wait(ms(99)).layer(probe);
    let start = Instant::now();
    assert_eq!(service.clone().oneshot(1).await, Ok(1));
    for _ in 0..3 {
        let refusal = refusal(service.clone().oneshot(2).await);
        assert_eq!(refusal.reason(), Reason::UsedUp);
        assert_eq!(refusal.limit(), Some("outgoing"));
        assert_eq!(refusal.rate(), Some(Rate::new(1, ms(100)).unwrap()));
        assert_eq!(refusal.cost(), 1);
        assert_eq!(refusal.retry_after(), Some(ms(100)));
        assert_eq!(refusal.max_wait(), Some(ms(99)));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((watch.calls(), watch.polls(), watch.reserved()), (vec![1], 1, 0));
    until(start, 1).await;
    assert_eq!(service.oneshot(3).await, Ok(3));
    assert_eq!(watch.called_at(), [0, 100]);
}

/// The wait is that behind all others in line.
#[tokio::test(start_paused = true)]
async fn the_accepted_wait_is_compared_with_the_end_of_the_line() {
    let (probe, watch) = Probe::new();
    let service = RateLimitLayer::new(one_per(100)).max_wait(ms(250)).layer(probe);
    let calls: Vec<_> =
        (0..6).map(|request| tokio::spawn(service.clone().oneshot(request))).collect();
    let mut waits = Vec::new();
    for call in calls {
        let result = call.await.unwrap();
        waits.extend(result.err().map(|error| error.limited().unwrap().retry_after().unwrap()));
    }
    assert_eq!(watch.calls(), [0, 1, 2]);
    assert_eq!(watch.called_at(), [0, 100, 200]);
    assert_eq!(waits, [ms(300); 3]);
}

#[tokio::test(start_paused = true)]
async fn a_refusing_layer_never_waits() {
    let (probe, watch) = Probe::new();
    let service = RateLimitLayer::new(one_per(100)).refuse().layer(probe);
    let start = Instant::now();
    assert_eq!(service.clone().oneshot(1).await, Ok(1));
    let refusal = refusal(service.clone().oneshot(2).await);
    assert_eq!(refusal.reason(), Reason::UsedUp);
    assert_eq!(refusal.retry_after(), Some(ms(100)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((watch.calls(), watch.polls()), (vec![1], 1));
    until(start, 100).await;
    assert_eq!(service.oneshot(3).await, Ok(3));
}

#[test]
fn a_refused_call_passes_at_exactly_retry_after() {
    let clock = ManualClock::new();
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::builder(window(1, 100)).clock(clock.clone()).build();
    let mut service = Spawn::new(RateLimitLayer::new(limiter).refuse().layer(probe));
    let mut call = |request| {
        assert_ready_ok!(service.poll_ready());
        at_once(service.call(request))
    };
    assert_eq!(call(1), Ok(1));
    clock.advance(Duration::from_nanos(1));
    let wait = refusal(call(2)).retry_after().unwrap();
    assert_eq!(wait, Duration::from_nanos(99_999_999));
    clock.advance(wait - Duration::from_nanos(1));
    assert_eq!(refusal(call(3)).retry_after(), Some(Duration::from_nanos(1)));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(call(4), Ok(4));
    assert_eq!(watch.calls(), [1, 4]);
}

/// Point 16.
#[tokio::test(start_paused = true)]
async fn the_line_of_a_waiting_layer_can_be_bounded() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::builder(one_per(100)).max_waiting(2).build();
    let service = RateLimitLayer::new(limiter).layer(probe);
    let start = Instant::now();
    let calls: Vec<_> =
        (0..5).map(|request| tokio::spawn(service.clone().oneshot(request))).collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    assert_eq!(results[..3], [Ok(0), Ok(1), Ok(2)]);
    for result in results.drain(3..) {
        assert_eq!(refusal(result).reason(), Reason::QueueFull);
    }
    assert_eq!(start.elapsed(), ms(200));
    assert_eq!(watch.called_at(), [0, 100, 200]);
}
