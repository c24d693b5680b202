//! The limiter comes first and the inner service last; it is called when it was readied and the
//! call let through, and never otherwise.

use super::{
    at_once, ms, one_per,
    probe::{Broken, Probe},
    refusal, strict, until, window,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit};
use tower_ratelimit::{
    Error, Fail, KeySource, MissingKey, RateLimitLayer, RateLimiter, Reason,
    limiter::IntoKeyedLimiter,
};
use tower_test::mock::Spawn;

/// Points 6 and 9.
#[tokio::test(start_paused = true)]
async fn the_inner_service_is_left_alone_while_a_permit_is_waited_for() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let mut service = Spawn::new(RateLimitLayer::new(limiter).layer(probe));
    for at in [0, 50, 99] {
        until(start, at).await;
        assert_pending!(service.poll_ready());
        assert_eq!((watch.polls(), watch.reserved()), (0, 0));
    }
    until(start, 100).await;
    assert_ready_ok!(service.poll_ready());
    assert_eq!((watch.polls(), watch.reserved()), (1, 1));
    assert!(watch.calls().is_empty());
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(watch.reserved(), 0);
}

/// Point 6.
#[tokio::test(start_paused = true)]
async fn the_permit_is_kept_while_the_inner_service_is_not_ready() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    watch.close();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    for at in [0, 30, 60] {
        until(start, at).await;
        assert_pending!(service.poll_ready());
        // The one permit was taken at 0, and no other.
        let wait = limiter.try_acquire().unwrap_err().retry_after();
        assert_eq!(wait, Some(ms(100 - at)));
    }
    watch.open();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(1).await, Ok(1));
    until(start, 100).await;
    assert!(limiter.try_acquire().is_ok());
}

/// Points 5 and 6.
#[tokio::test(start_paused = true)]
async fn a_permit_that_perished_while_the_inner_service_was_not_ready_is_taken_anew() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    watch.close();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_pending!(service.poll_ready());
    until(start, 100).await;
    limiter.try_acquire().unwrap();
    until(start, 150).await;
    watch.open();
    assert_pending!(service.poll_ready());
    assert_eq!(watch.reserved(), 0);
    until(start, 200).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(watch.called_at(), [200]);
}

/// Point 7: the probe panics when another one is called than was readied.
#[tokio::test(start_paused = true)]
async fn what_was_readied_is_called_by_services_and_by_clones() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::new(window(2, 100)).layer(probe.clone());
    let mut refusing = RateLimitLayer::new(window(2, 100)).refuse().layer(probe.clone());
    let mut keyed = RateLimitLayer::per_key(|_: &u32| (), window(2, 100)).wait().layer(probe);
    for request in 0..3 {
        service.ready().await.unwrap().call(request).await.unwrap();
        service.clone().oneshot(request).await.unwrap();
        let _ = refusing.ready().await.unwrap().call(request).await;
        let _ = refusing.clone().oneshot(request).await;
        keyed.ready().await.unwrap().call(request).await.unwrap();
        keyed.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(watch.reserved(), 0);
    assert!(watch.calls().len() >= 12);
}

/// Points 6 and 7.
#[tokio::test(start_paused = true)]
async fn a_slot_of_a_concurrency_limit_inside_is_free_while_a_permit_is_waited_for() {
    let (probe, watch) = Probe::new();
    let inner = ConcurrencyLimit::new(probe, 1);
    let mut service = RateLimitLayer::new(one_per(100)).layer(inner.clone());
    service.ready().await.unwrap().call(1).await.unwrap();
    let mut waiting = Spawn::new(service);
    assert_pending!(waiting.poll_ready());
    assert_eq!(at_once(inner.oneshot(2)), Ok(2));
    assert_eq!(watch.calls(), [1, 2]);
}

/// Points 5, 6 and 7: permits perish while the calls wait for each other, and are waited for anew.
#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_inside_that_is_the_narrower_one_sets_the_pace() {
    let (probe, watch) = Probe::new();
    watch.work_for(150);
    let service = RateLimitLayer::new(one_per(100)).layer(ConcurrencyLimit::new(probe, 1));
    let calls: Vec<_> =
        (0..6).map(|request| tokio::spawn(service.clone().oneshot(request))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.called_at(), [0, 150, 300, 450, 600, 750]);
}

/// Points 5, 6 and 7: all who wait for the inner service have lost their permits when it is ready.
#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_inside_that_is_much_narrower_sets_the_pace() {
    let (probe, watch) = Probe::new();
    watch.work_for(150);
    let service = RateLimitLayer::new(one_per(10)).layer(ConcurrencyLimit::new(probe, 1));
    let calls: Vec<_> =
        (0..6).map(|request| tokio::spawn(service.clone().oneshot(request))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.called_at(), [0, 150, 300, 450, 600, 750]);
}

/// Points 6 and 7.
#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_inside_that_is_the_wider_one_does_not_matter() {
    let (probe, watch) = Probe::new();
    watch.work_for(150);
    let service = RateLimitLayer::new(one_per(100)).layer(ConcurrencyLimit::new(probe, 2));
    let calls: Vec<_> =
        (0..6).map(|request| tokio::spawn(service.clone().oneshot(request))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.calls(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(watch.called_at(), [0, 100, 200, 300, 400, 500]);
}

/// Points 5 and 6: one that waits anew must not keep the slot from one that has a permit.
#[tokio::test(start_paused = true)]
async fn a_slot_of_a_concurrency_limit_inside_goes_to_a_call_per_key_that_has_a_permit() {
    let (probe, watch) = Probe::new();
    let start = Instant::now();
    let inner = ConcurrencyLimit::new(probe, 1);
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let mut service = layer.layer(inner.clone());
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let late = tokio::spawn(service.ready().await.unwrap().call(2));
    let next = tokio::spawn(service.ready().await.unwrap().call(3));
    until(start, 90).await;
    // Busy until 290 ms: the permit of 100 ms has perished by then, that of 200 ms has not.
    watch.work_for(200);
    let busy = tokio::spawn(inner.oneshot(9));
    until(start, 95).await;
    watch.work_for(0);
    assert_eq!(next.await.unwrap(), Ok(3));
    assert_eq!(late.await.unwrap(), Ok(2));
    assert_eq!(busy.await.unwrap(), Ok(9));
    assert_eq!(watch.calls(), [1, 9, 3, 2]);
    assert_eq!(watch.called_at(), [0, 90, 290, 300]);
}

/// Point 3: a readied service holds a permit and a slot, and gives both back.
#[tokio::test(start_paused = true)]
async fn a_readied_service_over_a_concurrency_limit_gives_back_its_slot_too() {
    let (probe, _) = Probe::new();
    let inner = ConcurrencyLimit::new(probe, 1);
    let limiter = RateLimiter::new(one_per(1000));
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(inner.clone()));
    assert_ready_ok!(service.poll_ready());
    assert_pending!(task::spawn(inner.clone().oneshot(1)).poll());
    drop(service);
    assert_ready_ok!(task::spawn(inner.oneshot(2)).poll());
    assert!(limiter.try_acquire().is_ok());
}

/// Point 8.
#[tokio::test(start_paused = true)]
async fn a_call_refused_per_key_leaves_nothing_reserved_in_the_inner_service() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).layer(probe);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    for _ in 0..3 {
        let mut ready = Spawn::new(service.clone());
        assert_ready_ok!(ready.poll_ready());
        assert_eq!(watch.reserved(), 1);
        let response = ready.call(2);
        assert_eq!(watch.reserved(), 0);
        refusal(response.await);
        assert_eq!(watch.reserved(), 0);
    }
    assert_eq!(watch.calls(), [1]);
}

/// Point 8.
#[tokio::test(start_paused = true)]
async fn calls_refused_per_key_do_not_use_up_a_concurrency_limit_inside() {
    let (probe, watch) = Probe::new();
    let inner = ConcurrencyLimit::new(probe, 2);
    let mut service = RateLimitLayer::per_key(|key: &u32| *key, one_per(100)).layer(inner);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let mut responses = Vec::new();
    let mut refused: Vec<_> = (0..5).map(|_| service.clone()).collect();
    for service in &mut refused {
        responses.push(at_once(service.ready()).unwrap().call(1));
    }
    // Neither they nor their responses hold a slot.
    assert_eq!(at_once(service.oneshot(2)), Ok(2));
    for response in responses {
        refusal(response.await);
    }
    assert_eq!(watch.calls(), [1, 2]);
}

/// Points 8 and 9.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_per_key_neither_calls_nor_holds_the_inner_service() {
    let (probe, watch) = Probe::new();
    let inner = ConcurrencyLimit::new(probe, 1);
    let start = Instant::now();
    let layer = RateLimitLayer::per_key(|key: &u32| *key, one_per(100)).wait();
    let mut service = layer.layer(inner);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let mut waiting = task::spawn(service.ready().await.unwrap().call(1));
    assert_pending!(waiting.poll());
    until(start, 99).await;
    assert_pending!(waiting.poll());
    assert_eq!((watch.calls(), watch.reserved()), (vec![1], 0));
    assert_eq!(service.ready().await.unwrap().call(2).await, Ok(2));
    until(start, 100).await;
    assert_eq!(assert_ready_ok!(waiting.poll()), 1);
    assert_eq!(watch.calls(), [1, 2, 1]);
    assert_eq!(watch.called_at(), [0, 99, 100]);
}

/// Finds no key in odd requests.
#[derive(Clone)]
struct EvenOnly;

impl KeySource<u32> for EvenOnly {
    type Key = u32;
    type Reply = Fail;

    fn key(&self, request: &u32) -> Result<u32, MissingKey> {
        match request % 2 {
            0 => Ok(*request),
            _ => Err(MissingKey::new("send even numbers")),
        }
    }

    fn reply(&self) -> Fail {
        Fail
    }
}

/// Point 8.
#[tokio::test(start_paused = true)]
async fn a_request_without_a_key_is_refused_and_leaves_nothing_reserved() {
    let (probe, watch) = Probe::new();
    let refusing = RateLimitLayer::per_key(EvenOnly, one_per(100));
    for layer in [refusing.clone(), refusing.wait()] {
        let mut service = Spawn::new(layer.layer(probe.clone()));
        assert_ready_ok!(service.poll_ready());
        let response = service.call(1);
        assert_eq!(watch.reserved(), 0);
        assert_eq!(refusal(response.await).reason(), Reason::NoKey);
        assert!(watch.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_inner_service_is_readied_anew_after_a_wait_per_key() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let start = Instant::now();
    let mut service = layer.layer(probe);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let mut waiting = task::spawn(service.ready().await.unwrap().call(2));
    assert_pending!(waiting.poll());
    watch.close();
    until(start, 100).await;
    assert_pending!(waiting.poll());
    until(start, 130).await;
    watch.open();
    assert!(waiting.is_woken());
    assert_eq!(assert_ready_ok!(waiting.poll()), 2);
    assert_eq!(watch.called_at(), [0, 130]);
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_fails_after_a_wait_per_key_fails_the_call() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let start = Instant::now();
    let mut service = layer.layer(probe);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let waiting = service.ready().await.unwrap().call(2);
    watch.break_down();
    assert_eq!(waiting.await, Err(Error::Inner(Broken)));
    assert_eq!(start.elapsed(), ms(100));
    assert_eq!(watch.calls(), [1]);
    let mut broken = Spawn::new(service);
    assert_eq!(assert_ready_err!(broken.poll_ready()), Error::Inner(Broken));
}

/// Three calls of one key at 0, of which the second finds the inner service not ready when its
/// turn comes, until 150.
async fn delayed_after_the_wait<M>(limit: impl IntoKeyedLimiter<M>) -> Vec<u128> {
    let (probe, watch) = Probe::new();
    let start = Instant::now();
    let mut service = RateLimitLayer::per_key(|_: &u32| (), limit).wait().layer(probe);
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    let second = tokio::spawn(service.ready().await.unwrap().call(2));
    let third = tokio::spawn(service.ready().await.unwrap().call(3));
    watch.close();
    until(start, 150).await;
    watch.open();
    assert_eq!(second.await.unwrap(), Ok(2));
    assert_eq!(third.await.unwrap(), Ok(3));
    watch.called_at()
}

/// Point 6: algorithms that stamp the call stamp it when the inner service is called.
#[tokio::test(start_paused = true)]
async fn a_strict_gap_counts_from_the_call_also_after_a_wait_per_key() {
    assert_eq!(delayed_after_the_wait(strict(100)).await, [0, 150, 250]);
}

/// Point 6: algorithms that stamp the call stamp it when the inner service is called.
#[tokio::test(start_paused = true)]
async fn a_window_counts_from_the_call_also_after_a_wait_per_key() {
    assert_eq!(delayed_after_the_wait(window(1, 100)).await, [0, 150, 250]);
}
