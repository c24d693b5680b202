//! A task that has used up its cooperative budget is told by tokio that nothing is ready, which
//! must not be taken for a limit that is used up.

use super::{one_per, probe::Probe, until};
use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
};
use tokio::{task::coop, time::Instant};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service, ServiceExt, load_shed::LoadShed};
use tower_ratelimit::{RateLimitLayer, RateLimiter};

/// Uses up what tokio gives a task for one poll, so that a timer that is due says it is not.
fn spend_budget(cx: &mut Context<'_>) {
    while coop::has_budget_remaining() {
        let _ = pin!(coop::consume_budget()).poll(cx);
    }
    assert_pending!(pin!(tokio::time::sleep(std::time::Duration::ZERO)).poll(cx));
}

/// Point 10.
#[tokio::test(start_paused = true)]
async fn a_call_that_has_a_permit_is_not_shed_when_the_budget_is_spent() {
    let (probe, _) = Probe::new();
    let mut service = LoadShed::new(RateLimitLayer::new(one_per(100)).layer(probe));
    let response = poll_fn(|cx| {
        spend_budget(cx);
        assert_ready_ok!(service.poll_ready(cx));
        Poll::Ready(service.call(1))
    });
    assert_eq!(response.await.await.unwrap(), 1);
}

/// Point 10.
#[tokio::test(start_paused = true)]
async fn a_call_whose_slot_has_come_is_not_shed_when_the_budget_is_spent() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let mut service = LoadShed::new(RateLimitLayer::new(limiter).layer(probe));
    // The budget is plenty, and the limit used up: this one is shed.
    assert!(service.ready().await.unwrap().call(1).await.is_err());
    until(start, 100).await;
    let response = poll_fn(|cx| {
        spend_budget(cx);
        assert_ready_ok!(service.poll_ready(cx));
        Poll::Ready(service.call(2))
    });
    assert_eq!(response.await.await.unwrap(), 2);
    assert_eq!(watch.called_at(), [100]);
}

/// Point 10.
#[tokio::test(start_paused = true)]
async fn a_service_whose_slot_has_come_is_ready_when_the_budget_is_spent() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let mut service = RateLimitLayer::new(limiter).layer(probe);
    poll_fn(|cx| {
        assert_pending!(service.poll_ready(cx));
        Poll::Ready(())
    })
    .await;
    until(start, 100).await;
    poll_fn(|cx| {
        spend_budget(cx);
        assert_ready_ok!(service.poll_ready(cx));
        Poll::Ready(())
    })
    .await;
    assert_eq!(service.call(1).await, Ok(1));
}

/// Point 10.
#[tokio::test(start_paused = true)]
async fn a_response_whose_slot_has_come_is_ready_when_the_budget_is_spent() {
    let (probe, _) = Probe::new();
    let start = Instant::now();
    let mut service = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait().layer(probe);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let mut response = pin!(service.ready().await.unwrap().call(2));
    poll_fn(|cx| {
        assert_pending!(response.as_mut().poll(cx));
        Poll::Ready(())
    })
    .await;
    until(start, 100).await;
    poll_fn(|cx| {
        spend_budget(cx);
        assert_eq!(assert_ready_ok!(response.as_mut().poll(cx)), 2);
        Poll::Ready(())
    })
    .await;
}

/// Point 10.
#[tokio::test(start_paused = true)]
async fn calls_are_refused_or_let_through_alike_when_the_budget_is_spent() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::new(one_per(100)).refuse().layer(probe.clone());
    let mut keyed = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).layer(probe);
    poll_fn(|cx| {
        spend_budget(cx);
        for passes in [true, false] {
            assert_ready_ok!(service.poll_ready(cx));
            assert_eq!(
                pin!(service.call(1)).poll(cx).map(|result| result.is_ok()),
                Poll::Ready(passes)
            );
            assert_ready_ok!(keyed.poll_ready(cx));
            assert_eq!(
                pin!(keyed.call(2)).poll(cx).map(|result| result.is_ok()),
                Poll::Ready(passes)
            );
        }
        Poll::Ready(())
    })
    .await;
    assert_eq!(watch.calls(), [1, 2]);
}

/// Points 10 and 11.
#[tokio::test(start_paused = true)]
async fn a_wait_that_begins_when_the_budget_is_spent_ends_on_time() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    let mut service = RateLimitLayer::new(limiter).layer(probe);
    let mut is_first = true;
    poll_fn(|cx| {
        if std::mem::take(&mut is_first) {
            spend_budget(cx);
        }
        service.poll_ready(cx)
    })
    .await
    .unwrap();
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(watch.called_at(), [100]);
}
