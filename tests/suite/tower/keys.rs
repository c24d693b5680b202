//! A limit for each key: decided in `call`, and waited for in the response.

use super::{
    ms, one_per,
    probe::{Broken, Probe},
    refusal, until,
};
use std::time::Duration;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{
    AtCapacity, Error, Fail, KeySource, KeyedRateLimiter, LeakyBucket, MissingKey, OrShared,
    Patience, Rate, RateLimitLayer, RateLimited, Reason, Terms,
};
use tower_test::mock::Spawn;

fn tens(request: &u32) -> u32 {
    request / 10
}

/// Point 16.
#[tokio::test(start_paused = true)]
async fn a_layer_per_key_refuses_unless_told_otherwise() {
    let (probe, watch) = Probe::new();
    let limiter = KeyedRateLimiter::builder(one_per(100)).name("per caller").build();
    let mut service = RateLimitLayer::per_key(tens, limiter).layer(probe);
    let start = Instant::now();
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    let refusal = refusal(service.ready().await.unwrap().call(11).await);
    assert_eq!(refusal.reason(), Reason::UsedUp);
    assert_eq!(refusal.limit(), Some("per caller"));
    assert_eq!(refusal.retry_after(), Some(ms(100)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    until(start, 100).await;
    assert_eq!(service.ready().await.unwrap().call(12).await, Ok(12));
    assert_eq!(watch.calls(), [10, 12]);
}

#[tokio::test(start_paused = true)]
async fn keys_are_independent() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::per_key(tens, one_per(100)).layer(probe);
    for request in [10, 20, 30] {
        assert_eq!(service.ready().await.unwrap().call(request).await, Ok(request));
    }
    for request in [11, 21, 31] {
        refusal(service.ready().await.unwrap().call(request).await);
    }
    assert_eq!(watch.calls(), [10, 20, 30]);
}

/// Even numbers do not say who they are from, and those above a hundred should.
#[derive(Clone)]
struct Odd;

impl KeySource<u32> for Odd {
    type Key = u32;
    type Reply = Fail;

    fn key(&self, request: &u32) -> Result<u32, MissingKey> {
        match (request % 2, request) {
            (1, _) => Ok(*request),
            (_, 0..100) => Err(MissingKey::anonymous("send an odd number")),
            _ => Err(MissingKey::new("make the number odd before")),
        }
    }

    fn reply(&self) -> Fail {
        Fail
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_can_say_that_a_request_has_no_key() {
    let odd = |request: &u32| match request % 2 {
        1 => Ok(*request),
        _ => Err(MissingKey::anonymous("send an odd number")),
    };
    let (probe, watch) = Probe::new();
    let service = RateLimitLayer::per_key(odd, one_per(100)).layer(probe.clone());
    for request in [2, 4] {
        let refused = refusal(service.clone().oneshot(request).await);
        assert_eq!(refused.reason(), Reason::Anonymous);
    }
    assert_eq!(service.clone().oneshot(1).await, Ok(1));
    assert_eq!(refusal(service.oneshot(1).await).reason(), Reason::UsedUp);
    // Those without one have one together, if they are given one.
    let service = RateLimitLayer::per_key(OrShared(odd), one_per(100)).layer(probe);
    assert_eq!(service.clone().oneshot(2).await, Ok(2));
    assert_eq!(refusal(service.oneshot(4).await).reason(), Reason::UsedUp);
    assert_eq!(watch.calls(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn all_whose_key_is_none_share_one_limit() {
    let odd = |request: &u32| (request % 2 == 1).then_some(*request);
    let (probe, _) = Probe::new();
    let service = RateLimitLayer::per_key(odd, one_per(100)).layer(probe);
    for request in [1, 2, 3] {
        assert_eq!(service.clone().oneshot(request).await, Ok(request));
    }
    assert_eq!(refusal(service.oneshot(4).await).reason(), Reason::UsedUp);
}

/// Only the log said it once, and without the feature `tracing` nobody.
#[tokio::test(start_paused = true)]
async fn the_refusal_of_a_request_without_a_key_says_what_to_do() {
    let (probe, _) = Probe::new();
    let service = RateLimitLayer::per_key(Odd, one_per(100)).layer(probe);
    let set_up_wrongly = refusal(service.clone().oneshot(200).await);
    assert_eq!(set_up_wrongly.reason(), Reason::NoKey);
    let says = "limit found no key in the request: make the number odd before";
    assert_eq!(set_up_wrongly.to_string(), says);
    let anonymous = refusal(service.oneshot(2).await);
    assert_eq!(anonymous.reason(), Reason::Anonymous);
    let says = "limit needs a client that says who it is: send an odd number";
    assert_eq!(anonymous.to_string(), says);
}

/// Case R11.
#[tokio::test(start_paused = true)]
async fn a_key_that_waits_does_not_delay_another() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::per_key(tens, one_per(450)).wait().layer(probe);
    let start = Instant::now();
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    let slow = tokio::spawn(service.ready().await.unwrap().call(11));
    tokio::task::yield_now().await;
    // Through the same service, and through a clone.
    assert_eq!(service.ready().await.unwrap().call(20).await, Ok(20));
    assert_eq!(service.clone().oneshot(30).await, Ok(30));
    assert_eq!(start.elapsed(), Duration::ZERO);
    until(start, 100).await;
    assert_eq!(service.clone().oneshot(40).await, Ok(40));
    assert_eq!(start.elapsed(), ms(100));
    // One that waits itself waits for its own key only.
    assert_eq!(service.clone().oneshot(41).await, Ok(41));
    assert_eq!(start.elapsed(), ms(550));
    assert_eq!(slow.await.unwrap(), Ok(11));
    assert_eq!(watch.calls(), [10, 20, 30, 40, 11, 41]);
    assert_eq!(watch.called_at(), [0, 0, 0, 100, 450, 550]);
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_key_are_let_go_in_the_order_in_which_they_were_made() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::per_key(tens, one_per(100)).wait().layer(probe);
    let mut calls = Vec::new();
    for request in [10, 11, 20, 12, 21, 13] {
        calls.push(service.ready().await.unwrap().call(request));
    }
    // The order in which they are polled is nobody's turn.
    let calls: Vec<_> = calls.into_iter().rev().map(tokio::spawn).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let by_key = |key| watch.calls().into_iter().filter(|n| n / 10 == key).collect::<Vec<_>>();
    assert_eq!(by_key(1), [10, 11, 12, 13]);
    assert_eq!(by_key(2), [20, 21]);
    assert_eq!(watch.called_at(), [0, 0, 100, 100, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_call_per_key_that_would_wait_longer_than_accepted_fails_at_once_and_takes_nothing() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(tens, one_per(100)).max_wait(ms(99));
    let mut service = layer.layer(probe);
    let start = Instant::now();
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    let refusal = refusal(service.ready().await.unwrap().call(11).await);
    assert_eq!(refusal.retry_after(), Some(ms(100)));
    assert_eq!(refusal.max_wait(), Some(ms(99)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    until(start, 1).await;
    assert_eq!(service.ready().await.unwrap().call(12).await, Ok(12));
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Point 16.
#[tokio::test(start_paused = true)]
async fn the_lines_of_a_waiting_layer_per_key_can_be_bounded() {
    let (probe, watch) = Probe::new();
    let limiter = KeyedRateLimiter::builder(one_per(100)).max_waiting(1).build();
    let mut service = RateLimitLayer::per_key(tens, limiter).wait().layer(probe);
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    assert_eq!(service.ready().await.unwrap().call(20).await, Ok(20));
    let waits = service.ready().await.unwrap().call(11);
    let too_many = service.ready().await.unwrap().call(12);
    assert_eq!(refusal(too_many.await).reason(), Reason::QueueFull);
    // Each key has a line of its own.
    let waits_too = service.ready().await.unwrap().call(21);
    assert_eq!(waits.await, Ok(11));
    assert_eq!(waits_too.await, Ok(21));
    assert_eq!(watch.called_at(), [0, 0, 100, 100]);
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn a_service_per_key_is_ready_whatever_its_limits_say() {
    let (probe, watch) = Probe::new();
    let limiter = KeyedRateLimiter::builder(one_per(100))
        .max_keys(1)
        .unwrap()
        .at_capacity(AtCapacity::Refuse)
        .build();
    let mut service = Spawn::new(RateLimitLayer::per_key(tens, limiter).layer(probe));
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(10).await, Ok(10));
    assert_ready_ok!(service.poll_ready());
    assert_eq!(refusal(service.call(20).await).reason(), Reason::TooManyKeys);
    assert_ready_ok!(service.poll_ready());
    assert_eq!(refusal(service.call(11).await).reason(), Reason::UsedUp);
    assert_eq!((watch.calls(), watch.reserved()), (vec![10], 0));
}

/// Point 6: it cannot know the key before the call.
#[tokio::test(start_paused = true)]
async fn a_service_per_key_is_as_ready_as_the_inner_one() {
    let (probe, watch) = Probe::new();
    let mut service = Spawn::new(RateLimitLayer::per_key(tens, one_per(100)).layer(probe));
    watch.close();
    assert_pending!(service.poll_ready());
    watch.open();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(10).await, Ok(10));
}

/// Point 17.
#[tokio::test(start_paused = true)]
async fn a_key_found_by_a_closure_makes_errors_of_both_kinds() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|request: &u32| request % 2, one_per(100));
    let mut service = layer.layer(probe);
    watch.fail(1);
    assert_eq!(service.ready().await.unwrap().call(1).await, Err(Error::Inner(Broken)));
    assert!(matches!(service.ready().await.unwrap().call(3).await, Err(Error::Limited(_))));
    watch.break_down();
    assert_eq!(service.ready().await.err(), Some(Error::Inner(Broken)));
}

/// Point 17.
#[tokio::test(start_paused = true)]
async fn a_layer_per_key_with_a_response_for_refusals_answers_with_it() {
    let (probe, watch) = Probe::new();
    let answer = |refusal: RateLimited| match refusal.reason() {
        Reason::UsedUp => Ok(429),
        _ => Err(Broken),
    };
    let layer = RateLimitLayer::per_key(tens, one_per(100)).respond(answer);
    let mut service = layer.layer(probe.clone());
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    assert_eq!(service.ready().await.unwrap().call(11).await, Ok(429));
    watch.fail(1);
    assert_eq!(service.ready().await.unwrap().call(20).await, Err(Broken));
    assert_eq!(watch.calls(), [10, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_one_key_waits_without_blocking_its_service() {
    let (probe, _) = Probe::new();
    let mut service = Spawn::new(RateLimitLayer::per_key(tens, one_per(100)).wait().layer(probe));
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(10).await, Ok(10));
    assert_ready_ok!(service.poll_ready());
    let mut waiting = task::spawn(service.call(11));
    assert_pending!(waiting.poll());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(20).await, Ok(20));
}

#[tokio::test(start_paused = true)]
async fn a_request_says_what_it_costs_and_how_long_it_waits() {
    let (probe, watch) = Probe::new();
    let bucket = LeakyBucket::new(Rate::new(1, ms(100)).unwrap()).capacity(10).unwrap();
    // The units are the cost, and odd requests wait.
    let layer =
        RateLimitLayer::per_key(|_: &u32| (), bucket).terms(|request: &u32, terms: Terms| {
            let patience = if request % 2 == 1 { Patience::Forever } else { terms.patience };
            Terms { cost: request % 10, patience }
        });
    let mut service = layer.layer(probe);
    assert_eq!(service.ready().await.unwrap().call(8).await, Ok(8));
    let refused = refusal(service.ready().await.unwrap().call(4).await);
    assert_eq!((refused.cost(), refused.retry_after()), (4, Some(ms(200))));
    assert_eq!(service.ready().await.unwrap().call(5).await, Ok(5));
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    assert_eq!(watch.called_at(), [0, 300, 300]);
}

#[tokio::test(start_paused = true)]
async fn all_calls_of_a_layer_can_cost_more_than_one() {
    let (probe, watch) = Probe::new();
    let bucket = LeakyBucket::new(Rate::new(1, ms(100)).unwrap()).capacity(6).unwrap();
    let mut service = Spawn::new(RateLimitLayer::new(bucket).cost(3).unwrap().layer(probe));
    for _ in 0..2 {
        assert_ready_ok!(service.poll_ready());
        service.call(1).await.unwrap();
    }
    assert_pending!(service.poll_ready());
    until(Instant::now(), 300).await;
    assert_ready_ok!(service.poll_ready());
    service.call(1).await.unwrap();
    assert_eq!(watch.called_at(), [0, 0, 300]);
}
