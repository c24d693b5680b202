//! Whose limit it is: that of the layer, of its clones and of all services made by it.

use super::{ms, one_per, probe::Probe, refusal, until};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{KeyedRateLimiter, RateLimitLayer, RateLimiter, Reason};
use tower_test::mock::Spawn;

/// Point 1.
#[tokio::test(start_paused = true)]
async fn services_made_by_one_layer_share_its_limit() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100)).refuse();
    let (first, second) = (layer.layer(probe.clone()), layer.layer(probe));
    assert_eq!(first.oneshot(1).await, Ok(1));
    assert_eq!(refusal(second.oneshot(2).await).reason(), Reason::UsedUp);
    assert_eq!(watch.calls(), [1]);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn clones_of_a_layer_share_its_limit() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100)).refuse();
    let (first, second) = (layer.clone().layer(probe.clone()), layer.layer(probe));
    assert_eq!(first.oneshot(1).await, Ok(1));
    assert_eq!(refusal(second.oneshot(2).await).reason(), Reason::UsedUp);
    assert_eq!(watch.calls(), [1]);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn clones_of_a_service_share_its_limit() {
    let (probe, watch) = Probe::new();
    let service = RateLimitLayer::new(one_per(100)).refuse().layer(probe);
    assert_eq!(service.clone().oneshot(1).await, Ok(1));
    assert_eq!(refusal(service.clone().oneshot(2).await).reason(), Reason::UsedUp);
    assert_eq!(refusal(service.oneshot(3).await).reason(), Reason::UsedUp);
    assert_eq!(watch.calls(), [1]);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn services_of_one_layer_stand_in_one_line() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let calls: Vec<_> =
        (0..4).map(|n| tokio::spawn(layer.clone().layer(probe.clone()).oneshot(n))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.calls(), [0, 1, 2, 3]);
    assert_eq!(watch.called_at(), [0, 100, 200, 300]);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn two_layers_have_a_limit_each() {
    let (probe, _) = Probe::new();
    let layer = || RateLimitLayer::new(one_per(100)).refuse();
    assert_eq!(layer().layer(probe.clone()).oneshot(1).await, Ok(1));
    assert_eq!(layer().layer(probe).oneshot(2).await, Ok(2));
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn two_layers_of_one_limiter_share_it_with_its_other_users() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let refusing = RateLimitLayer::new(limiter.clone()).refuse().layer(probe.clone());
    let waiting = RateLimitLayer::new(limiter.clone()).layer(probe);
    assert_eq!(refusing.clone().oneshot(1).await, Ok(1));
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
    let start = Instant::now();
    assert_eq!(waiting.oneshot(2).await, Ok(2));
    assert_eq!(start.elapsed(), ms(100));
    refusal(refusing.clone().oneshot(3).await);
    assert!(refusing.limiter().try_acquire().is_err());
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn services_and_layers_per_key_share_the_limits_of_the_layer() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|request: &u32| request % 2, one_per(100));
    let service = layer.layer(probe.clone());
    assert_eq!(service.clone().oneshot(1).await, Ok(1));
    refusal(service.oneshot(3).await);
    refusal(layer.layer(probe.clone()).oneshot(5).await);
    refusal(layer.clone().layer(probe.clone()).oneshot(7).await);
    assert_eq!(layer.layer(probe).oneshot(8).await, Ok(8));
    assert_eq!(watch.calls(), [1, 8]);
}

/// Point 1.
#[tokio::test(start_paused = true)]
async fn two_layers_of_one_keyed_limiter_share_it() {
    let (probe, _) = Probe::new();
    let limiter = KeyedRateLimiter::new(one_per(100));
    let layer = || RateLimitLayer::per_key(|request: &u32| request % 2, limiter.clone());
    assert_eq!(layer().layer(probe.clone()).oneshot(1).await, Ok(1));
    refusal(layer().layer(probe).oneshot(3).await);
    assert!(limiter.key(&1_u32).try_acquire().is_err());
    assert!(limiter.key(&0_u32).try_acquire().is_ok());
}

/// Point 4.
#[tokio::test(start_paused = true)]
async fn a_clone_of_a_readied_service_has_no_permit() {
    let (probe, watch) = Probe::new();
    let mut readied = Spawn::new(RateLimitLayer::new(one_per(100)).layer(probe));
    assert_ready_ok!(readied.poll_ready());
    let mut clone = readied.clone();
    assert_pending!(clone.poll_ready());
    assert_eq!(watch.reserved(), 1);
    assert_eq!(readied.call(1).await, Ok(1));
    assert_pending!(clone.poll_ready());
}

/// Point 4.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "`poll_ready` must be ready before `call`")]
async fn a_clone_of_a_readied_service_cannot_be_called() {
    let (probe, _) = Probe::new();
    let mut readied = Spawn::new(RateLimitLayer::new(one_per(100)).layer(probe));
    assert_ready_ok!(readied.poll_ready());
    drop(readied.clone().call(1));
}

/// Point 4.
#[tokio::test(start_paused = true)]
async fn a_clone_of_a_waiting_service_has_a_place_of_its_own() {
    let (probe, _) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let start = Instant::now();
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut waiting = Spawn::new(layer.layer(probe.clone()));
    assert_pending!(waiting.poll_ready());
    let untouched = waiting.clone();
    let mut clone = waiting.clone();
    drop(waiting.clone());
    until(start, 100).await;
    assert_pending!(clone.poll_ready());
    assert_ready_ok!(waiting.poll_ready());
    assert_eq!(waiting.call(1).await, Ok(1));
    until(start, 200).await;
    assert_ready_ok!(clone.poll_ready());
    assert_eq!(clone.call(2).await, Ok(2));
    // The clone that was never polled is not in line.
    assert_eq!(layer.layer(probe).oneshot(3).await, Ok(3));
    assert_eq!(start.elapsed(), ms(300));
    drop(untouched);
}

/// Point 4.
#[tokio::test(start_paused = true)]
async fn a_clone_of_a_refused_service_is_not_refused_unheard() {
    let (probe, _) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100)).refuse();
    let start = Instant::now();
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut refused = Spawn::new(layer.layer(probe));
    assert_ready_ok!(refused.poll_ready());
    let mut clone = refused.clone();
    until(start, 100).await;
    assert_eq!(clone.get_mut().ready().await.unwrap().call(1).await, Ok(1));
}
