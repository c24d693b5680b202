//! What `Timeout`, `Retry` and `LoadShed` mean outside and inside of the layer.

use super::{
    ms, one_per,
    probe::{Broken, Probe},
    until,
};
use std::future::{Ready, ready};
use tokio::time::Instant;
use tower::{
    Layer, Service, ServiceExt,
    limit::ConcurrencyLimit,
    load_shed::{LoadShed, error::Overloaded},
    retry::{Policy, Retry},
    timeout::{Timeout, error::Elapsed},
};
use tower_ratelimit::{Error, RateLimitLayer, RateLimiter};

/// Tries again at once, so many times.
#[derive(Clone)]
struct Again(usize);

impl<E> Policy<u32, u32, E> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u32, result: &mut Result<u32, E>) -> Option<Ready<()>> {
        match result {
            Ok(_) => None,
            Err(_) => {
                self.0 = self.0.checked_sub(1)?;
                Some(ready(()))
            }
        }
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

/// Points 7 and 18.
#[tokio::test(start_paused = true)]
async fn a_retry_outside_pays_for_every_attempt() {
    let (probe, watch) = Probe::new();
    watch.fail(2);
    let mut service = Retry::new(Again(5), RateLimitLayer::new(one_per(100)).layer(probe));
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    assert_eq!(service.ready().await.unwrap().call(2).await, Ok(2));
    assert_eq!(watch.calls(), [1, 1, 1, 2]);
    assert_eq!(watch.called_at(), [0, 100, 200, 300]);
}

/// Points 2 and 18.
#[tokio::test(start_paused = true)]
async fn a_retry_outside_sees_refusals_as_failed_attempts() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    let service = Retry::new(Again(3), RateLimitLayer::new(limiter).refuse().layer(probe));
    assert!(matches!(service.oneshot(1).await, Err(Error::Limited(_))));
    assert_eq!((watch.calls(), watch.polls()), (vec![], 0));
}

/// Points 7 and 18.
#[tokio::test(start_paused = true)]
async fn a_retry_outside_of_limits_per_key_pays_for_every_attempt() {
    let (probe, watch) = Probe::new();
    watch.fail(2);
    let layer = RateLimitLayer::per_key(|n: &u32| *n, one_per(100)).wait();
    let mut service = Retry::new(Again(5), layer.layer(probe));
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    assert_eq!(watch.called_at(), [0, 100, 200]);
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn attempts_of_a_retry_inside_are_free() {
    let (probe, watch) = Probe::new();
    watch.fail(2);
    let mut service = RateLimitLayer::new(one_per(100)).layer(Retry::new(Again(5), probe));
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(1));
    assert_eq!(service.ready().await.unwrap().call(2).await, Ok(2));
    assert_eq!(watch.calls(), [1, 1, 1, 2]);
    assert_eq!(watch.called_at(), [0, 0, 0, 100]);
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn a_timeout_outside_does_not_count_the_wait_for_readiness() {
    let (probe, watch) = Probe::new();
    let service = RateLimitLayer::new(one_per(100)).layer(probe);
    let mut service = Timeout::new(service, ms(30));
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
    watch.work_for(31);
    let error = service.ready().await.unwrap().call(3).await.unwrap_err();
    assert!(error.is::<Elapsed>());
    assert_eq!(watch.called_at(), [0, 100, 200]);
}

/// Points 5, 12 and 18: a wait in the response is the exception.
#[tokio::test(start_paused = true)]
async fn a_timeout_outside_counts_a_wait_in_the_response_and_its_place_goes_to_the_next() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let start = Instant::now();
    let mut patient = layer.layer(probe.clone());
    let mut hurried = Timeout::new(layer.layer(probe), ms(30));
    assert_eq!(hurried.ready().await.unwrap().call(1).await.unwrap(), 1);
    let late = tokio::spawn(hurried.ready().await.unwrap().call(2));
    let next = tokio::spawn(patient.ready().await.unwrap().call(3));
    assert!(late.await.unwrap().unwrap_err().is::<Elapsed>());
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!(next.await.unwrap(), Ok(3));
    assert_eq!(watch.calls(), [1, 3]);
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn a_timeout_inside_counts_the_response_only() {
    let (probe, watch) = Probe::new();
    watch.work_for(20);
    let layer = RateLimitLayer::per_key(|_: &u32| (), one_per(100)).wait();
    let mut service = layer.layer(Timeout::new(probe, ms(30)));
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
    watch.work_for(40);
    let error = service.ready().await.unwrap().call(3).await.unwrap_err();
    assert!(matches!(error, Error::Inner(inner) if inner.is::<Elapsed>()));
    assert_eq!(watch.called_at(), [0, 100, 200]);
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn a_load_shed_outside_sheds_every_call_that_would_wait() {
    let (probe, watch) = Probe::new();
    let mut service = LoadShed::new(RateLimitLayer::new(one_per(100)).layer(probe));
    let start = Instant::now();
    for (at, passes) in [(0, true), (0, false), (99, false), (100, true), (350, true)] {
        until(start, at).await;
        let result = service.ready().await.unwrap().call(1).await;
        assert_eq!(result.is_ok(), passes, "at {at}");
        assert!(result.is_ok() || result.is_err_and(|error| error.is::<Overloaded>()));
    }
    assert_eq!(watch.called_at(), [0, 100, 350]);
}

/// Points 3 and 18: each of them gives up its place.
#[tokio::test(start_paused = true)]
async fn calls_shed_on_clones_do_not_use_up_the_limit() {
    let (probe, watch) = Probe::new();
    let service = LoadShed::new(RateLimitLayer::new(one_per(100)).layer(probe));
    let start = Instant::now();
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
    for _ in 0..10 {
        assert!(service.clone().oneshot(2).await.unwrap_err().is::<Overloaded>());
    }
    until(start, 100).await;
    assert_eq!(service.oneshot(3).await.unwrap(), 3);
    assert_eq!(watch.calls(), [1, 3]);
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn a_load_shed_outside_lets_refusals_through_as_they_are() {
    let (probe, _) = Probe::new();
    let service = LoadShed::new(RateLimitLayer::new(one_per(100)).refuse().layer(probe));
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
    let error = service.oneshot(2).await.unwrap_err();
    let error = error.downcast::<Error<Broken>>().unwrap();
    assert_eq!(error.limited().unwrap().retry_after(), Some(ms(100)));
}

/// Point 18.
#[tokio::test(start_paused = true)]
async fn a_load_shed_inside_never_sheds_because_of_the_limit() {
    let (probe, watch) = Probe::new();
    watch.work_for(150);
    let inner = LoadShed::new(ConcurrencyLimit::new(probe, 1));
    let service = RateLimitLayer::new(one_per(100)).layer(inner);
    let start = Instant::now();
    let calls: Vec<_> =
        (0..3).map(|request| tokio::spawn(service.clone().oneshot(request))).collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    assert!(results[0].is_ok() && results[2].is_ok());
    // It had its permit at 100 ms, and found the first call still at work.
    assert!(matches!(&results[1], Err(Error::Inner(error)) if error.is::<Overloaded>()));
    assert_eq!(watch.called_at(), [0, 200]);
    assert_eq!(start.elapsed(), ms(350));
}
