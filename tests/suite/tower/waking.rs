//! The task that looked last is woken, and nobody depends on a task that looks no more.

use super::{ms, one_per, probe::Probe, strict, until, window};
use std::{
    any::Any,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{
    BurstCompensating, LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimiter,
    limiter::IntoLimiter,
};
use tower_test::mock::Spawn;

/// Point 11.
#[tokio::test(start_paused = true)]
async fn a_wait_that_was_polled_once_is_woken_on_time() {
    let (probe, _) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let start = Instant::now();
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut service = Spawn::new(layer.layer(probe));
    assert_pending!(service.poll_ready());
    until(start, 99).await;
    assert!(!service.is_woken());
    until(start, 100).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

/// Point 11.
#[tokio::test(start_paused = true)]
async fn the_task_that_polled_last_is_woken_when_the_time_has_come() {
    let (probe, _) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let start = Instant::now();
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut service = layer.layer(probe);
    let mut tasks: Vec<_> = (0..4).map(|_| task::spawn(())).collect();
    for task in &mut tasks {
        task.enter(|cx, _| assert_pending!(service.poll_ready(cx)));
    }
    until(start, 100).await;
    let last = tasks.last_mut().unwrap();
    assert!(last.is_woken());
    assert_ready_ok!(last.enter(|cx, _| service.poll_ready(cx)));
}

/// Point 11.
#[test]
fn the_task_that_polled_last_is_woken_by_a_manual_clock() {
    let (probe, _) = Probe::new();
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(one_per(100)).clock(clock.clone()).build();
    limiter.try_acquire().unwrap();
    let mut service = RateLimitLayer::new(limiter).layer(probe);
    let [mut first, mut last] = [(); 2].map(task::spawn);
    for task in [&mut first, &mut last] {
        task.enter(|cx, _| assert_pending!(service.poll_ready(cx)));
    }
    clock.advance(ms(100));
    assert!(last.is_woken());
    assert_ready_ok!(last.enter(|cx, _| service.poll_ready(cx)));
}

/// Point 11.
#[tokio::test(start_paused = true)]
async fn the_task_that_polled_last_is_woken_when_a_permit_goes_back() {
    let (probe, _) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let mut holder = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(holder.poll_ready());
    let mut service = layer.layer(probe);
    let [mut first, mut last] = [(); 2].map(task::spawn);
    for task in [&mut first, &mut last] {
        task.enter(|cx, _| assert_pending!(service.poll_ready(cx)));
    }
    drop(holder);
    assert!(last.is_woken());
    assert_ready_ok!(last.enter(|cx, _| service.poll_ready(cx)));
}

/// Point 11.
#[tokio::test(start_paused = true)]
async fn the_task_that_polled_last_is_woken_when_the_inner_service_is_ready() {
    let (probe, watch) = Probe::new();
    watch.close();
    let mut service = RateLimitLayer::new(one_per(100)).layer(probe);
    let [mut first, mut last] = [(); 2].map(task::spawn);
    for task in [&mut first, &mut last] {
        task.enter(|cx, _| assert_pending!(service.poll_ready(cx)));
    }
    watch.open();
    assert!(last.is_woken());
    assert_ready_ok!(last.enter(|cx, _| service.poll_ready(cx)));
}

/// Point 11.
#[tokio::test(start_paused = true)]
async fn a_service_polled_by_two_tasks_in_turn_has_one_place_in_line() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let mut service = RateLimitLayer::new(limiter.clone()).layer(probe);
    let [mut first, mut last] = [(); 2].map(task::spawn);
    for at in [0, 20, 40, 60] {
        until(start, at).await;
        for task in [&mut first, &mut last] {
            task.enter(|cx, _| assert_pending!(service.poll_ready(cx)));
        }
    }
    until(start, 100).await;
    assert!(last.is_woken());
    assert_ready_ok!(first.enter(|cx, _| service.poll_ready(cx)));
    assert_ready_ok!(last.enter(|cx, _| service.poll_ready(cx)));
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
}

/// Point 11.
#[tokio::test(start_paused = true)]
async fn a_response_that_waits_wakes_the_task_that_polled_it_last() {
    let (probe, watch) = Probe::new();
    let start = Instant::now();
    let mut service = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait().layer(probe);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let mut response = Box::pin(service.ready().await.unwrap().call(2));
    let [mut first, mut last] = [(); 2].map(task::spawn);
    for task in [&mut first, &mut last] {
        task.enter(|cx, _| assert_pending!(response.as_mut().poll(cx)));
    }
    until(start, 100).await;
    assert!(last.is_woken());
    assert_ready_ok!(last.enter(|cx, _| response.as_mut().poll(cx)));
    assert_eq!(watch.calls(), [1, 2]);
}

/// When a call is let go that stands behind so many services that were polled once, while
/// somebody else took the permit of that moment, and are never polled again.
async fn behind<M>(never_polled_again: usize, limit: impl IntoLimiter<M>) -> u128 {
    let (probe, _) = Probe::new();
    let start = Instant::now();
    let layer = RateLimitLayer::new(limit);
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut before: Vec<_> =
        (0..never_polled_again).map(|_| Spawn::new(layer.layer(probe.clone()))).collect();
    for service in &mut before {
        assert_pending!(service.poll_ready());
    }
    layer.layer(probe).oneshot(1).await.unwrap();
    start.elapsed().as_millis()
}

/// Point 11: those before it take their slots, and at most as many again.
#[tokio::test(start_paused = true)]
async fn services_that_are_never_polled_again_do_not_stall_those_behind_them() {
    for many in [1, 3, 10, 30] {
        let paced = BurstCompensating::new(Rate::per_second(10).unwrap());
        let released = [
            behind(many, paced).await,
            behind(many, window(1, 100)).await,
            behind(many, one_per(100)).await,
            behind(many, strict(100)).await,
        ];
        let slot = (many + 1) as u128 * 100;
        for at in released {
            assert!((slot..=2 * slot).contains(&at), "behind {many}: {released:?}");
        }
    }
}

/// Point 11.
#[tokio::test(start_paused = true)]
async fn those_who_left_the_line_do_not_delay_those_who_stay() {
    let (probe, _) = Probe::new();
    let start = Instant::now();
    let layer = RateLimitLayer::new(one_per(100));
    layer.layer(probe.clone()).oneshot(0).await.unwrap();
    let mut before: Vec<_> = (0..20).map(|_| Spawn::new(layer.layer(probe.clone()))).collect();
    for service in &mut before {
        assert_pending!(service.poll_ready());
    }
    let last = tokio::spawn(layer.layer(probe).oneshot(1));
    until(start, 10).await;
    // One is never polled again, the others leave.
    before.truncate(1);
    last.await.unwrap().unwrap();
    assert!(start.elapsed() <= ms(300), "let go at {:?}", start.elapsed());
}

/// A task as a simple executor has it: whoever drops its last waker drops what it owns.
struct Owner(#[expect(dead_code, reason = "it is there to be dropped")] Mutex<Box<dyn Any + Send>>);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

fn owner(owned: impl Any + Send) -> Waker {
    Arc::new(Owner(Mutex::new(Box::new(owned)))).into()
}

/// Runs it on a thread of its own, so that a deadlock is a failure and not a standstill.
fn without_deadlock(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(5)).expect("a deadlock, or a panic above");
}

/// Point 11: replacing a waker drops the one before, which may be the last that holds a task.
#[test]
fn a_waker_that_is_replaced_may_own_a_service_of_the_same_limit() {
    without_deadlock(|| {
        let (probe, _) = Probe::new();
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(one_per(100)).clock(clock.clone()).build();
        let layer = RateLimitLayer::new(limiter);
        let mut readied = Spawn::new(layer.layer(probe.clone()));
        assert_ready_ok!(readied.poll_ready());
        let mut service = layer.layer(probe);
        let waker = owner(readied);
        assert_pending!(service.poll_ready(&mut Context::from_waker(&waker)));
        drop(waker);
        // Its timer lets go of the waker; the line has it still.
        clock.advance(Duration::from_nanos(1));
        let _ = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    });
}

/// Points 3 and 11.
#[test]
fn a_waker_that_is_dropped_with_its_place_in_line_may_own_a_service_of_the_same_limit() {
    without_deadlock(|| {
        let (probe, _) = Probe::new();
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(one_per(100)).clock(clock.clone()).build();
        let layer = RateLimitLayer::new(limiter);
        let mut readied = Spawn::new(layer.layer(probe.clone()));
        assert_ready_ok!(readied.poll_ready());
        let mut service = layer.layer(probe);
        let waker = owner(readied);
        assert_pending!(service.poll_ready(&mut Context::from_waker(&waker)));
        drop(waker);
        clock.advance(Duration::from_nanos(1));
        drop(service);
    });
}

/// Asks a limiter when it is woken.
struct Asks(RateLimiter<LeakyBucket>);

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_acquire();
    }
}

/// Point 11.
#[test]
fn a_waker_may_use_the_limit_it_is_woken_by() {
    without_deadlock(|| {
        let (probe, _) = Probe::new();
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(one_per(100)).clock(clock.clone()).build();
        let layer = RateLimitLayer::new(limiter.clone());
        let mut readied = Spawn::new(layer.layer(probe.clone()));
        assert_ready_ok!(readied.poll_ready());
        let mut service = layer.layer(probe);
        let waker = Waker::from(Arc::new(Asks(limiter)));
        assert_pending!(service.poll_ready(&mut Context::from_waker(&waker)));
        clock.advance(ms(50));
        drop(readied);
        assert_ready_ok!(service.poll_ready(&mut Context::from_waker(&waker)));
    });
}
