//! A permit that was not used goes back, however its holder comes to an end.

use super::{ms, one_per, probe::Probe, until};
use std::future::pending;
use tokio::time::{Instant, timeout};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{RateLimitLayer, RateLimiter};
use tower_test::mock::Spawn;

/// Point 3.
#[tokio::test(start_paused = true)]
async fn a_readied_service_that_is_dropped_gives_its_permit_to_the_next_in_line() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(1000));
    let mut readied = Spawn::new(layer.layer(probe.clone()));
    let mut next = Spawn::new(layer.layer(probe.clone()));
    let mut last = Spawn::new(layer.layer(probe));
    assert_ready_ok!(readied.poll_ready());
    assert_pending!(next.poll_ready());
    assert_pending!(last.poll_ready());
    drop(readied);
    assert_eq!(watch.reserved(), 0);
    assert!(next.is_woken());
    assert_ready_ok!(next.poll_ready());
    assert_pending!(last.poll_ready());
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn a_readied_service_that_is_dropped_leaves_the_limit_as_new() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(one_per(1000));
    let mut readied = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_ready_ok!(readied.poll_ready());
    assert!(limiter.try_acquire().is_err());
    drop(readied);
    assert!(limiter.try_acquire().is_ok());
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn taking_the_inner_service_out_gives_the_permit_back() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(1000));
    let mut readied = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_ready_ok!(readied.poll_ready());
    let mut inner = readied.into_inner().into_inner();
    assert!(limiter.try_acquire().is_ok());
    // It is as ready as it was.
    assert_eq!(watch.reserved(), 1);
    assert_eq!(inner.call(1).await, Ok(1));
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn a_readied_service_lost_in_a_select_gives_its_permit_back() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(1000));
    let start = Instant::now();
    let mut slow = layer.layer(probe.clone());
    let request = async {
        slow.ready().await.unwrap();
        pending::<u32>().await
    };
    let next = tokio::spawn(layer.layer(probe).oneshot(2));
    tokio::select! {
        biased;
        _ = request => panic!("it is never sent"),
        () = tokio::time::sleep(ms(50)) => drop(slow),
    }
    assert_eq!(next.await.unwrap(), Ok(2));
    assert_eq!(start.elapsed(), ms(50));
    assert_eq!(watch.calls(), [2]);
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn a_service_readied_again_after_a_lost_select_has_one_permit() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::new(one_per(1000)).layer(probe.clone());
    for _ in 0..3 {
        tokio::select! {
            biased;
            ready = service.ready() => drop(ready.unwrap()),
            () = tokio::time::sleep(ms(50)) => panic!("it is ready at once"),
        }
    }
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!((watch.called_at(), watch.reservations()), (vec![0], 1));
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn a_timeout_around_readiness_gives_the_place_in_line_to_the_next() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let start = Instant::now();
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let impatient = tokio::spawn(timeout(ms(30), layer.layer(probe.clone()).oneshot(1)));
    let next = tokio::spawn(layer.layer(probe).oneshot(2));
    assert!(impatient.await.unwrap().is_err());
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!(next.await.unwrap(), Ok(2));
    assert_eq!(watch.calls(), [0, 2]);
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn a_service_keeps_its_place_when_a_timeout_ends_the_waiting() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut service = layer.layer(probe.clone());
    assert!(timeout(ms(30), service.ready()).await.is_err());
    let other = tokio::spawn(layer.layer(probe).oneshot(2));
    tokio::task::yield_now().await;
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    assert_eq!(other.await.unwrap(), Ok(2));
    assert_eq!(watch.calls(), [0, 1, 2]);
    assert_eq!(watch.called_at(), [0, 100, 200]);
}

/// Point 3, and case R7.
#[tokio::test(start_paused = true)]
async fn a_service_dropped_after_it_was_let_go_and_before_it_ran_passes_its_slot_on() {
    let (probe, _) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let start = Instant::now();
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut granted = Spawn::new(layer.layer(probe.clone()));
    let mut next = Spawn::new(layer.layer(probe));
    assert_pending!(granted.poll_ready());
    assert_pending!(next.poll_ready());
    until(start, 100).await;
    assert!(granted.is_woken());
    // Whoever looks lets go all who are due.
    assert_pending!(next.poll_ready());
    drop(granted);
    assert!(next.is_woken());
    assert_ready_ok!(next.poll_ready());
    assert_eq!(next.call(1).await, Ok(1));
    assert_eq!(start.elapsed(), ms(100));
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn a_permit_is_used_once_the_inner_service_was_called() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(1000));
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_ready_ok!(service.poll_ready());
    let response = service.call(1);
    // `call` may already have sent the request.
    assert_eq!(watch.calls(), [1]);
    drop((response, service));
    assert!(limiter.try_acquire().is_err());
}

/// Point 12.
#[tokio::test(start_paused = true)]
async fn a_response_that_waits_anew_and_is_never_polled_gives_up_its_place() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let layer = RateLimitLayer::new(limiter.clone());
    let start = Instant::now();
    let mut stale = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(stale.poll_ready());
    until(start, 150).await;
    limiter.try_acquire().unwrap();
    let response = stale.call(1);
    let mut next = Spawn::new(layer.layer(probe));
    assert_pending!(next.poll_ready());
    drop(response);
    assert_eq!(watch.reserved(), 0);
    until(start, 250).await;
    assert!(next.is_woken());
    assert_ready_ok!(next.poll_ready());
    assert!(watch.calls().is_empty());
}

/// Point 12.
#[tokio::test(start_paused = true)]
async fn a_waiting_response_per_key_that_is_never_polled_gives_up_its_place() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let mut service = layer.layer(probe);
    assert_eq!(service.ready().await.unwrap().call(0).await, Ok(0));
    let never_polled = service.ready().await.unwrap().call(1);
    let next = service.ready().await.unwrap().call(2);
    drop(never_polled);
    assert_eq!(next.await, Ok(2));
    assert_eq!(watch.calls(), [0, 2]);
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Point 12.
#[tokio::test(start_paused = true)]
async fn a_response_per_key_that_was_let_go_and_never_polled_passes_its_slot_on() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let start = Instant::now();
    let mut service = layer.layer(probe);
    assert_eq!(service.ready().await.unwrap().call(0).await, Ok(0));
    let never_polled = service.ready().await.unwrap().call(1);
    let mut next = task::spawn(service.ready().await.unwrap().call(2));
    until(start, 100).await;
    assert_pending!(next.poll());
    drop(never_polled);
    assert!(next.is_woken());
    assert_eq!(assert_ready_ok!(next.poll()), 2);
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Points 3 and 12.
#[tokio::test(start_paused = true)]
async fn a_response_dropped_while_the_inner_service_is_not_ready_gives_its_permit_back() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let start = Instant::now();
    let mut service = layer.layer(probe);
    assert_eq!(service.ready().await.unwrap().call(0).await, Ok(0));
    let mut stuck = task::spawn(service.ready().await.unwrap().call(1));
    let mut next = task::spawn(service.ready().await.unwrap().call(2));
    assert_pending!(stuck.poll());
    assert_pending!(next.poll());
    watch.close();
    until(start, 100).await;
    // It has the permit, and waits for the inner service.
    assert_pending!(stuck.poll());
    assert_pending!(next.poll());
    watch.open();
    drop(stuck);
    assert!(next.is_woken());
    assert_eq!(assert_ready_ok!(next.poll()), 2);
    assert_eq!(watch.called_at(), [0, 100]);
    assert_eq!(watch.reserved(), 0);
}

/// Point 12.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_takes_nothing() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(one_per(1000));
    drop(RateLimitLayer::new(limiter.clone()).layer(probe).oneshot(1));
    assert!(limiter.try_acquire().is_ok());
}
