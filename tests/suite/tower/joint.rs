//! Several limits decided in `call`: the inner service is treated as by a limit per key.

use super::{ms, one_per, probe::Probe, refusal, until};
use tokio::time::Instant;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{JointLayer, JointLimiter, LimitId, limiter::OnLimits};

/// The tens say who asks, for a call each 100 ms, and all together one each 30 ms.
fn limits() -> (JointLimiter, impl Fn(&JointLimiter, &u32) -> OnLimits + Clone) {
    let mut limits = JointLimiter::builder();
    let own: LimitId = limits.limit("own", one_per(100)).unwrap();
    let shared = limits.limit("shared", one_per(30)).unwrap();
    let rules =
        move |limits: &JointLimiter, request: &u32| limits.on(own, &(request / 10)).on(shared, &());
    (limits.build(), rules)
}

/// Points 8 and 9.
#[tokio::test(start_paused = true)]
async fn a_call_refused_by_one_of_several_limits_leaves_nothing_reserved_in_the_inner_service() {
    let (probe, watch) = Probe::new();
    let (limiter, rules) = limits();
    let mut service = JointLayer::new(limiter, rules).layer(probe);
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    let call = service.ready().await.unwrap().call(11);
    assert_eq!(watch.reserved(), 0);
    assert_eq!(refusal(call.await).retry_after(), Some(ms(100)));
    assert_eq!(watch.calls(), [10]);
}

/// Points 6 and 7.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_several_limits_readies_the_inner_service_last() {
    let (probe, watch) = Probe::new();
    let (limiter, rules) = limits();
    let mut service = JointLayer::new(limiter, rules).wait().layer(probe);
    let start = Instant::now();
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    let mut waits = task::spawn(service.ready().await.unwrap().call(11));
    assert_pending!(waits.poll());
    assert_eq!(watch.reserved(), 0, "nothing is held while it waits");
    watch.close();
    until(start, 100).await;
    assert_pending!(waits.poll());
    watch.open();
    assert_eq!(waits.await, Ok(11));
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Point 12.
#[tokio::test(start_paused = true)]
async fn a_call_dropped_while_it_waits_makes_way_at_all_its_keys() {
    let (probe, watch) = Probe::new();
    let (limiter, rules) = limits();
    let mut service = JointLayer::new(limiter, rules).wait().layer(probe);
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    // It waits for its own limit until 100, and holds up what they share.
    let waits = service.ready().await.unwrap().call(11);
    let mut behind = task::spawn(service.ready().await.unwrap().call(20));
    assert_pending!(behind.poll());
    drop(waits);
    assert_eq!(behind.await, Ok(20));
    assert_eq!(watch.called_at(), [0, 30]);
}
