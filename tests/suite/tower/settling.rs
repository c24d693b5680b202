//! Calls whose cost is known once there is a response.

use super::{at_once, ms, one_per, refusal, until, window};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Concurrency, JointLayer, JointLimiter, KeyedRateLimiter, Quota,
    RateLimitLayer, RateLimiter, Terms,
};

/// A call that takes so many permits in advance, lasts so long, and then has cost so many or fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) takes: u32,
    pub(super) lasts: Duration,
    pub(super) costs: Result<u32, &'static str>,
}

fn job(takes: u32, costs: u32) -> Job {
    Job { takes, lasts: ms(0), costs: Ok(costs) }
}

pub(super) async fn work(job: Job) -> Result<u32, &'static str> {
    if !job.lasts.is_zero() {
        sleep(job.lasts).await;
    }
    job.costs
}

pub(super) fn takes(job: &Job, terms: Terms) -> Terms {
    Terms { cost: job.takes, ..terms }
}

/// A service that is limited by this and settles what its calls cost.
macro_rules! settled {
    ($limiter:expr) => {
        RateLimitLayer::per_key(|_: &Job| (), $limiter)
            .terms(takes)
            .settle(|cost: &u32| *cost)
            .layer(service_fn(work))
    };
}

fn left(limiter: &KeyedRateLimiter<impl Algorithm>) -> u32 {
    limiter.key(&()).peek(0).remaining
}

#[tokio::test(start_paused = true)]
async fn what_a_call_took_too_much_goes_back_with_its_response() {
    let limiter = KeyedRateLimiter::new(window(10, 1000));
    let service = settled!(limiter.clone());
    for (takes, costs, remaining) in [(6, 2, 8), (8, 0, 8), (1, 1, 7), (7, 6, 1)] {
        assert_eq!(service.clone().oneshot(job(takes, costs)).await, Ok(costs));
        assert_eq!(left(&limiter), remaining);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_call_took_too_little_is_a_debt_until_it_is_paid_off() {
    let start = Instant::now();
    let limiter = KeyedRateLimiter::new(one_per(100).capacity(5).unwrap());
    let service = settled!(limiter.clone());
    assert_eq!(service.clone().oneshot(job(1, 8)).await, Ok(8));
    // Eight intervals are taken and four of them may be: the next one passes four later.
    let refused = refusal(service.clone().oneshot(job(1, 1)).await);
    assert_eq!(refused.retry_after(), Some(ms(400)));
    until(start, 400).await;
    assert_eq!(service.oneshot(job(1, 1)).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn only_failures_count() {
    let limiter = KeyedRateLimiter::new(window(2, 1000));
    let service = RateLimitLayer::per_key(|name: &&str| name.len() as u64, limiter)
        .settle(|works: &bool| u32::from(!works))
        .layer(service_fn(async |name: &str| Ok::<_, &str>(name == "alice")));
    for _ in 0..10 {
        assert_eq!(service.clone().oneshot("alice").await, Ok(true));
    }
    for name in ["alicf", "alice", "alicg"] {
        assert_eq!(service.clone().oneshot(name).await, Ok(name == "alice"));
    }
    refusal(service.oneshot("alice").await);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_keeps_what_it_took() {
    let limiter = KeyedRateLimiter::new(window(10, 1000));
    let service = settled!(limiter.clone());
    let fails = Job { costs: Err("no"), ..job(4, 0) };
    let error = service.oneshot(fails).await.unwrap_err();
    assert_eq!(error, tower_ratelimit::Error::Inner("no"));
    assert_eq!(left(&limiter), 6);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_keeps_what_it_took() {
    let limiter = KeyedRateLimiter::new(window(10, 1000));
    let mut service = settled!(limiter.clone());
    let never_polled = service.call(Job { lasts: ms(50), ..job(4, 0) });
    let mut polled = task::spawn(service.call(Job { lasts: ms(50), ..job(3, 0) }));
    assert_pending!(polled.poll());
    drop((never_polled, polled));
    until(Instant::now(), 100).await;
    assert_eq!(left(&limiter), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_what_it_took_when_the_function_panics() {
    let limiter = KeyedRateLimiter::new(window(10, 1000));
    let mut service = RateLimitLayer::per_key(|_: &Job| (), limiter.clone())
        .terms(takes)
        .settle(|cost: &u32| cost.checked_sub(1).unwrap())
        .layer(service_fn(work));
    let call = service.call(job(4, 0));
    catch_unwind(AssertUnwindSafe(|| at_once(call))).unwrap_err();
    assert_eq!(left(&limiter), 6);
    assert_eq!(service.call(job(1, 1)).await, Ok(1));
    assert_eq!(left(&limiter), 6);
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_lets_the_next_in_line_go() {
    let start = Instant::now();
    let service = RateLimitLayer::per_key(|_: &Job| (), window(10, 1000))
        .terms(takes)
        .wait()
        .settle(|cost: &u32| *cost)
        .layer(service_fn(work));
    let first = tokio::spawn(service.clone().oneshot(Job { lasts: ms(30), ..job(10, 4) }));
    tokio::task::yield_now().await;
    assert_eq!(service.clone().oneshot(job(6, 6)).await, Ok(6));
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!(first.await.unwrap(), Ok(4));
    // What was kept of the first call counts from when it began.
    assert_eq!(service.oneshot(job(1, 1)).await, Ok(1));
    assert_eq!(start.elapsed(), ms(1000));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_took_nothing_is_not_settled() {
    let limiter = KeyedRateLimiter::new(window(10, 1000));
    let service = settled!(limiter.clone());
    assert_eq!(service.clone().oneshot(job(0, 7)).await, Ok(7));
    assert_eq!(left(&limiter), 10);
    limiter.breach();
    assert_eq!(service.oneshot(job(1, 7)).await, Ok(7));
    assert_eq!(left(&limiter), 10);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_before_a_reset_does_not_go_back_after_it() {
    let limiter = KeyedRateLimiter::new(window(10, 1000));
    let service = settled!(limiter.clone());
    let mut before = task::spawn(service.clone().oneshot(Job { lasts: ms(50), ..job(6, 2) }));
    assert_pending!(before.poll());
    limiter.reset();
    assert_eq!(service.oneshot(job(6, 6)).await, Ok(6));
    before.await.unwrap();
    assert_eq!(left(&limiter), 4);
}

#[tokio::test(start_paused = true)]
async fn permits_that_are_held_come_back_with_the_response_whatever_it_says() {
    let any: AnyAlgorithm = "concurrency 3".parse().unwrap();
    let (typed, read) =
        (KeyedRateLimiter::new(Concurrency::new(3).unwrap()), KeyedRateLimiter::new(any));
    let services = (settled!(typed.clone()), settled!(read.clone()));
    for costs in [0, 1, 2, 9] {
        let lasting = Job { lasts: ms(50), ..job(2, costs) };
        let mut calls = (
            task::spawn(services.0.clone().oneshot(lasting)),
            task::spawn(services.1.clone().oneshot(lasting)),
        );
        assert_pending!(calls.0.poll());
        assert_pending!(calls.1.poll());
        assert_eq!((left(&typed), left(&read)), (1, 1));
        sleep(ms(50)).await;
        assert_ready!(calls.0.poll()).unwrap();
        assert_ready!(calls.1.poll()).unwrap();
        assert_eq!((left(&typed), left(&read)), (3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn one_limit_for_all_calls_is_settled_as_well() {
    let start = Instant::now();
    let limiter = RateLimiter::new(one_per(100).capacity(4).unwrap());
    let layer = RateLimitLayer::new(limiter.clone()).cost(2).unwrap().settle(|cost: &u32| *cost);
    let mut service = layer.layer(service_fn(work));
    assert_eq!(service.ready().await.unwrap().call(job(2, 0)).await, Ok(0));
    assert_eq!(limiter.peek(0).remaining, 4);
    assert_eq!(service.ready().await.unwrap().call(job(2, 6)).await, Ok(6));
    // It waits for the debt, and for two permits more.
    assert_eq!(service.ready().await.unwrap().call(job(2, 2)).await, Ok(2));
    assert_eq!(start.elapsed(), ms(400));
}

#[tokio::test(start_paused = true)]
async fn a_permit_promised_without_a_look_at_the_clock_is_settled_as_well() {
    let limiter = RateLimiter::new(one_per(100).capacity(100).unwrap());
    let layer = RateLimitLayer::new(limiter.clone()).settle(|cost: &u32| *cost);
    let mut service = layer.layer(service_fn(work));
    for (costs, remaining) in [(0, 100), (1, 99), (0, 99), (5, 94)] {
        service.ready().await.unwrap().call(job(1, costs)).await.unwrap();
        assert_eq!(limiter.peek(0).remaining, remaining);
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_several_limits_is_settled_by_itself() {
    let mut limits = JointLimiter::builder();
    let calls = limits.limit("calls", window(10, 1000)).unwrap();
    let tokens = limits.limit("tokens", Quota::new(20).unwrap()).unwrap();
    let running = limits.limit("running", Concurrency::new(1).unwrap()).unwrap();
    let elsewhere = JointLimiter::builder().limit("tokens", window(1, 1)).unwrap();
    let limiter = limits.build();
    let rules = move |limits: &JointLimiter, job: &Job| {
        limits.on(calls, &()).on_many(tokens, &1, job.takes).on(running, &())
    };
    let layer = JointLayer::new(limiter.clone(), rules)
        .settle(move |cost: &u32| [(tokens, *cost), (running, 7), (elsewhere, 9)]);
    let service = layer.layer(service_fn(work));
    let left = || {
        let left = |limit, key: &u32| limiter.on_many(limit, key, 0).peek().decision().remaining;
        let call = limiter.on_many(calls, &(), 0).peek().decision().remaining;
        (call, left(tokens, &1), limiter.on_many(running, &(), 0).peek().decision().remaining)
    };
    assert_eq!(service.clone().oneshot(job(8, 3)).await, Ok(3));
    assert_eq!(left(), (9, 17, 1));
    assert_eq!(service.clone().oneshot(job(1, 15)).await, Ok(15));
    assert_eq!(left(), (8, 2, 1));
    assert_eq!(service.clone().oneshot(job(2, 5)).await, Ok(5));
    assert_eq!(left(), (7, 0, 1));
    assert_eq!(refusal(service.oneshot(job(1, 1)).await).limit(), Some("tokens"));
}
