//! No runtime is needed until a call has to wait.

use super::{ms, one_per, probe::Probe, refusal};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{KeyedRateLimiter, ManualClock, RateLimitLayer, RateLimiter};

/// Calls a service that is ready at once and answers at once.
fn call<S: Service<u32>>(service: &mut S, request: u32) -> Result<S::Response, S::Error> {
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(ready) = service.poll_ready(cx) else { panic!("the service is not ready") };
    ready?;
    let Poll::Ready(response) = pin!(service.call(request)).poll(cx) else {
        panic!("the response is not ready")
    };
    response
}

/// Point 13.
#[test]
fn calls_that_do_not_wait_need_no_runtime() {
    const HOUR: u64 = 3_600_000;
    let (probe, watch) = Probe::new();
    let mut waiting = RateLimitLayer::new(one_per(HOUR)).layer(probe.clone());
    let mut refusing = RateLimitLayer::new(one_per(HOUR)).refuse().layer(probe.clone());
    let mut only_waiting = RateLimitLayer::wait_only(one_per(HOUR)).layer(probe.clone());
    let mut keyed = RateLimitLayer::per_key(|n: &u32| *n, one_per(HOUR)).wait().layer(probe);
    assert_eq!(call(&mut waiting, 1), Ok(1));
    assert_eq!(call(&mut refusing, 2), Ok(2));
    refusal(call(&mut refusing, 3));
    assert_eq!(call(&mut only_waiting, 4), Ok(4));
    assert_eq!(call(&mut keyed, 5), Ok(5));
    assert_eq!(call(&mut keyed, 6), Ok(6));
    assert_eq!(watch.calls(), [1, 2, 4, 5, 6]);
}

/// Point 13.
#[test]
fn waiting_on_a_manual_clock_needs_no_runtime() {
    let clock = ManualClock::new();
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::builder(one_per(100)).clock(clock.clone()).build();
    let keyed = KeyedRateLimiter::builder(one_per(100)).clock(clock.clone()).build();
    let mut service = RateLimitLayer::new(limiter).layer(probe.clone());
    let mut keyed = RateLimitLayer::per_key(|_: &u32| (), keyed).wait().layer(probe);
    assert_eq!(call(&mut service, 1), Ok(1));
    assert_eq!(call(&mut keyed, 2), Ok(2));
    let mut ready = task::spawn(service.ready());
    assert_pending!(ready.poll());
    let cx = &mut Context::from_waker(Waker::noop());
    assert_ready_ok!(keyed.poll_ready(cx));
    let mut response = task::spawn(keyed.call(4));
    assert_pending!(response.poll());
    clock.advance(ms(100));
    assert!(ready.is_woken() && response.is_woken());
    assert_eq!(assert_ready_ok!(response.poll()), 4);
    drop(assert_ready_ok!(ready.poll()).call(3));
    assert_eq!(watch.calls(), [1, 2, 4, 3]);
}

/// Point 13: the timer is made at the first wait.
#[test]
fn a_service_made_before_the_runtime_waits_in_it() {
    let (probe, _) = Probe::new();
    let mut service = RateLimitLayer::new(one_per(100)).layer(probe);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let start = Instant::now();
        for request in 0..3 {
            assert_eq!(service.ready().await.unwrap().call(request).await, Ok(request));
        }
        // Its clock began between two ticks of the runtime's timer.
        assert!((200..=202).contains(&start.elapsed().as_millis()));
    });
}

/// Point 13.
#[test]
#[should_panic(expected = "no reactor running")]
fn waiting_for_real_time_outside_a_runtime_panics() {
    let (probe, _) = Probe::new();
    let mut service = RateLimitLayer::new(one_per(3_600_000)).layer(probe);
    assert_eq!(call(&mut service, 1), Ok(1));
    let _ = call(&mut service, 2);
}
