//! With tower's `Buffer`, for which an error in `poll_ready` is the end of its service.

use super::{
    ms, one_per,
    probe::{Broken, Probe},
    until,
};
use tokio::time::{Instant, timeout};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt, buffer::Buffer};
use tower_ratelimit::{Error, RateLimitLayer, RateLimiter, Reason};
use tower_test::mock::Spawn;

fn reason(result: Result<u32, BoxError>) -> Reason {
    let error = result.unwrap_err();
    let error = error.downcast_ref::<Error<Broken>>().expect("the error of the layer");
    error.limited().expect("a refusal").reason()
}

/// Points 2 and 18.
#[tokio::test(start_paused = true)]
async fn a_buffer_outside_goes_on_after_a_refusal() {
    let (probe, watch) = Probe::new();
    let mut buffer = Buffer::new(RateLimitLayer::new(one_per(100)).refuse().layer(probe), 8);
    let start = Instant::now();
    assert_eq!(buffer.ready().await.unwrap().call(1).await.unwrap(), 1);
    for _ in 0..2 {
        let refused = buffer.ready().await.unwrap().call(2).await;
        assert_eq!(reason(refused), Reason::UsedUp);
    }
    until(start, 100).await;
    assert_eq!(buffer.ready().await.unwrap().call(3).await.unwrap(), 3);
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Points 2 and 18.
#[tokio::test(start_paused = true)]
async fn a_buffer_outside_goes_on_after_a_wait_that_was_too_long() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100)).max_wait(ms(50));
    let mut buffer = Buffer::new(layer.layer(probe), 8);
    let start = Instant::now();
    assert_eq!(buffer.ready().await.unwrap().call(1).await.unwrap(), 1);
    for _ in 0..2 {
        let refused = buffer.ready().await.unwrap().call(2).await;
        assert_eq!(reason(refused), Reason::UsedUp);
    }
    until(start, 60).await;
    assert_eq!(buffer.ready().await.unwrap().call(3).await.unwrap(), 3);
    assert_eq!(buffer.ready().await.map(drop).map_err(|error| error.to_string()), Ok(()));
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Points 2 and 18.
#[tokio::test(start_paused = true)]
async fn a_buffer_outside_of_limits_per_key_goes_on_after_a_refusal() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|n: &u32| n / 10, one_per(100));
    let mut buffer = Buffer::new(layer.layer(probe), 8);
    assert_eq!(buffer.ready().await.unwrap().call(10).await.unwrap(), 10);
    assert_eq!(reason(buffer.ready().await.unwrap().call(11).await), Reason::UsedUp);
    assert_eq!(buffer.ready().await.unwrap().call(20).await.unwrap(), 20);
    assert_eq!(watch.calls(), [10, 20]);
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn a_buffer_outside_waits_for_all_callers_in_order() {
    let (probe, watch) = Probe::new();
    let buffer = Buffer::new(RateLimitLayer::new(one_per(100)).layer(probe), 8);
    let calls: Vec<_> =
        (0..4).map(|request| tokio::spawn(buffer.clone().oneshot(request))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.calls(), [0, 1, 2, 3]);
    assert_eq!(watch.called_at(), [0, 100, 200, 300]);
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn a_buffer_outside_drops_requests_that_nobody_waits_for_and_saves_their_permits() {
    let (probe, watch) = Probe::new();
    let buffer = Buffer::new(RateLimitLayer::new(one_per(100)).layer(probe), 8);
    assert_eq!(buffer.clone().oneshot(1).await.unwrap(), 1);
    let given_up = timeout(ms(30), buffer.clone().oneshot(2));
    let (given_up, next) = tokio::join!(given_up, buffer.oneshot(3));
    assert!(given_up.is_err());
    assert_eq!(next.unwrap(), 3);
    assert_eq!(watch.calls(), [1, 3]);
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Points 6 and 18.
#[tokio::test(start_paused = true)]
async fn a_place_in_a_buffer_inside_is_not_held_while_a_permit_is_waited_for() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    // Requests stay in the buffer, which has room for one.
    watch.close();
    let buffer = Buffer::new(probe, 1);
    let mut waiting = Spawn::new(RateLimitLayer::new(limiter).layer(buffer.clone()));
    assert_pending!(waiting.poll_ready());
    let mut direct = Spawn::new(buffer);
    assert_ready_ok!(direct.poll_ready());
    let mut response = task::spawn(direct.call(1));
    assert_pending!(response.poll());
    watch.open();
    assert_eq!(response.await.unwrap(), 1);
}

/// Points 8 and 18.
#[tokio::test(start_paused = true)]
async fn a_place_in_a_buffer_inside_is_not_held_by_a_call_refused_or_waiting_per_key() {
    let (probe, watch) = Probe::new();
    let buffer = Buffer::new(probe, 1);
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100));
    let mut refusing = layer.layer(buffer.clone());
    assert_eq!(refusing.ready().await.unwrap().call(1).await.unwrap(), 1);
    let refused = refusing.ready().await.unwrap().call(2);
    assert_eq!(timeout(ms(50), buffer.clone().oneshot(3)).await.unwrap().unwrap(), 3);
    assert!(refused.await.is_err());
    let mut waiting = layer.wait().layer(buffer.clone());
    let waits = waiting.ready().await.unwrap().call(4);
    assert_eq!(timeout(ms(50), buffer.oneshot(5)).await.unwrap().unwrap(), 5);
    assert_eq!(waits.await.unwrap(), 4);
    assert_eq!(watch.calls(), [1, 3, 5, 4]);
    assert_eq!(watch.called_at(), [0, 0, 0, 100]);
}
