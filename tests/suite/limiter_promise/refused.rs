//! A promise that cannot be kept when its permit is used: the call does not take place.

use super::{ms, ticket};
use std::task::{Context, Waker};
use tokio_test::assert_ready_ok;
use tower::{Layer, Service, service_fn};
use tower_ratelimit::{
    Error, LeakyBucket, Limiter, ManualClock, Rate, RateLimitLayer, RateLimiter,
};

/// At 60 s, 24 of 64 permits are left; at 0, there were none.
fn bucket(clock: &ManualClock) -> RateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(64).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    clock.set(ms(60_000));
    for _ in 0..40 {
        limiter.commit(ticket(&limiter).unwrap()).unwrap();
    }
    limiter
}

#[test]
fn a_permit_that_is_not_there_when_it_is_used_is_not_used() {
    let clock = ManualClock::new();
    let limiter = bucket(&clock);
    let promised = ticket(&limiter).unwrap();
    clock.set(ms(0));
    assert!(limiter.commit(promised).is_err());
    clock.set(ms(60_000));
    assert_eq!(limiter.peek(0).remaining, 24);
}

#[test]
fn a_service_refuses_the_call_whose_permit_is_not_there() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::new(bucket(&clock)).refuse();
    let mut service = layer.layer(service_fn(|()| async { Ok::<_, std::fmt::Error>(()) }));
    assert_ready_ok!(service.poll_ready(&mut Context::from_waker(Waker::noop())));
    clock.set(ms(0));
    let result = tokio_test::task::spawn(service.call(())).poll();
    assert!(matches!(result, std::task::Poll::Ready(Err(Error::Limited(_)))));
    clock.set(ms(60_000));
    assert_eq!(service.limiter().peek(0).remaining, 24);
}
