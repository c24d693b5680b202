//! A limit with room for many: what holds where permits are scarce holds there, too.

use super::{at_once, ms, probe::Probe, refusal, until, window};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Waker},
    thread,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service};
use tower_ratelimit::{LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimiter, SlidingWindow};
use tower_test::mock::Spawn;

/// 64 in 6.4 s: a permit keeps for 100 ms.
fn many() -> SlidingWindow {
    window(64, 6400)
}

type Ready = Vec<Spawn<tower_ratelimit::RateLimit<Probe, RateLimiter<SlidingWindow>>>>;

/// How many services are readied, and where.
fn numbers() -> impl Iterator<Item = (usize, RateLimiter<SlidingWindow>)> {
    [1, 3, 30, 64].into_iter().map(|services| (services, RateLimiter::new(many())))
}

fn readied(services: usize, limiter: &RateLimiter<SlidingWindow>, probe: &Probe) -> Ready {
    let layer = RateLimitLayer::new(limiter.clone());
    let mut readied: Vec<_> =
        (0..services).map(|_| Spawn::new(layer.layer(probe.clone()))).collect();
    for service in &mut readied {
        assert_ready_ok!(service.poll_ready());
    }
    readied
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn readied_services_hold_a_permit_each_out_of_many() {
    for (services, limiter) in numbers() {
        let (probe, watch) = Probe::new();
        let mut readied = readied(services, &limiter, &probe);
        let left = 64 - u32::try_from(services).unwrap();
        assert!(limiter.try_acquire_many(left + 1).is_err(), "{services} services");
        limiter.try_acquire_many(left).unwrap();
        assert!(limiter.try_acquire().is_err());
        for service in &mut readied {
            assert_eq!(service.call(1).await, Ok(1));
        }
        assert_eq!(watch.calls().len(), services);
        assert!(limiter.try_acquire().is_err());
        let mut next = Spawn::new(RateLimitLayer::new(limiter).layer(probe));
        assert_pending!(next.poll_ready());
    }
}

/// Point 3.
#[tokio::test(start_paused = true)]
async fn readied_services_that_are_dropped_give_back_each_of_many_permits() {
    for (services, limiter) in numbers() {
        let (probe, _) = Probe::new();
        drop(readied(services, &limiter, &probe));
        for service in readied(services, &limiter, &probe) {
            drop(service.into_inner().into_inner());
        }
        limiter.try_acquire_many(64).unwrap();
        assert!(limiter.try_acquire().is_err());
    }
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn idle_services_give_way_out_of_many_permits_after_one_interval() {
    for (services, limiter) in numbers() {
        let (probe, watch) = Probe::new();
        let start = Instant::now();
        let mut idle = readied(services, &limiter, &probe);
        until(start, 99).await;
        assert!(limiter.try_acquire_many(64).is_err(), "{services} services");
        until(start, 100).await;
        assert!(limiter.try_acquire_many(64).is_ok(), "{services} services");
        // They are let go together when the window has passed, and no more than 64.
        let calls: Vec<_> = idle.iter_mut().map(|service| service.call(1)).collect();
        assert!(watch.calls().is_empty());
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(watch.called_at(), vec![6500; services]);
    }
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn services_idle_for_long_give_way_out_of_many_permits_at_once() {
    for (services, limiter) in numbers() {
        let (probe, _) = Probe::new();
        let start = Instant::now();
        let idle = readied(services, &limiter, &probe);
        until(start, 60_000).await;
        assert!(limiter.try_acquire_many(64).is_ok(), "{services} services");
        drop(idle);
        assert!(limiter.try_acquire().is_err());
    }
}

/// Points 5 and 6.
#[tokio::test(start_paused = true)]
async fn each_of_many_permits_counts_from_its_call() {
    let limiter = RateLimiter::new(many());
    let (probe, _) = Probe::new();
    let start = Instant::now();
    let mut services = readied(4, &limiter, &probe);
    until(start, 50).await;
    for service in &mut services {
        assert_eq!(service.call(1).await, Ok(1));
    }
    limiter.try_acquire_many(60).unwrap();
    until(start, 6449).await;
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(1)));
}

/// Point 6.
#[tokio::test(start_paused = true)]
async fn services_without_a_permit_are_not_ready_and_hold_nothing_in_the_inner_one() {
    let limiter = RateLimiter::new(many());
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(limiter.clone());
    let mut services: Vec<_> = (0..200).map(|_| Spawn::new(layer.layer(probe.clone()))).collect();
    let is_ready: Vec<_> =
        services.iter_mut().map(|service| service.poll_ready().is_ready()).collect();
    assert_eq!(is_ready.iter().filter(|is_ready| **is_ready).count(), 64);
    assert_eq!(watch.reserved(), 64);
}

/// Points 2 and 5.
#[tokio::test(start_paused = true)]
async fn services_that_refuse_pass_as_often_as_the_limit_says_out_of_many() {
    let (probe, watch) = Probe::new();
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(64).unwrap();
    let layer = RateLimitLayer::new(bucket).refuse();
    let start = Instant::now();
    let mut idle: Vec<_> = (0..100).map(|_| Spawn::new(layer.layer(probe.clone()))).collect();
    for service in &mut idle {
        assert_ready_ok!(service.poll_ready());
    }
    until(start, 60_000).await;
    let mut refused = 0;
    for service in &mut idle {
        match service.call(1).await {
            Ok(1) => {}
            result => refused += u32::from(refusal(result).retry_after() == Some(ms(100))),
        }
    }
    // Those refused at 0 say so, with the wait of that time.
    assert_eq!(watch.calls().len(), 64);
    assert_eq!(refused, 36);
}

/// Points 1 and 3: whatever threads ready, call and drop at the same time.
#[test]
fn threads_that_ready_and_drop_take_each_permit_once() {
    const PERMITS: u32 = 1000;
    let (probe, watch) = Probe::new();
    let limiter =
        RateLimiter::builder(window(PERMITS, 3_600_000)).clock(ManualClock::new()).build();
    let layer = RateLimitLayer::new(limiter.clone()).refuse();
    let passed = AtomicU32::new(0);
    let call = |is_used: bool| {
        let mut service = layer.layer(probe.clone());
        let cx = &mut Context::from_waker(Waker::noop());
        assert_ready_ok!(service.poll_ready(cx));
        if !is_used {
            return true;
        }
        let passes = at_once(service.call(1)).is_ok();
        passed.fetch_add(u32::from(passes), Ordering::SeqCst);
        passes
    };
    thread::scope(|scope| {
        for thread in 0..4 {
            let call = &call;
            scope.spawn(move || {
                for n in 0..400 {
                    call((n + thread) % 3 > 0);
                }
            });
        }
    });
    // What was given back while somebody was refused is still there.
    while call(true) {}
    assert_eq!(passed.load(Ordering::SeqCst), PERMITS);
    assert_eq!(watch.calls().len(), PERMITS as usize);
    assert_eq!(watch.reserved(), 0);
    assert!(limiter.try_acquire().is_err());
}
