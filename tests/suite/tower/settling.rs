//! Calls whose cost is known once there is a response.

use super::{at_once, ms, one_per, refusal, until, window};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
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
struct Job {
    takes: u32,
    lasts: Duration,
    costs: Result<u32, &'static str>,
}

fn job(takes: u32, costs: u32) -> Job {
    Job { takes, lasts: ms(0), costs: Ok(costs) }
}

async fn work(job: Job) -> Result<u32, &'static str> {
    if !job.lasts.is_zero() {
        sleep(job.lasts).await;
    }
    job.costs
}

fn takes(job: &Job, terms: Terms) -> Terms {
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
    let layer = RateLimitLayer::new(limiter.clone()).cost(2).settle(|cost: &u32| *cost);
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

/// A call as it was: when it was let through and ended, what it took in advance and cost.
#[derive(Clone, Copy, Debug)]
struct Past {
    began: u64,
    ended: u64,
    took: u32,
    cost: u32,
}

impl Past {
    /// What it cost more than it had taken.
    fn more(self) -> u32 {
        self.cost.saturating_sub(self.took)
    }

    /// When it used which permits.
    fn uses(self) -> [(u64, u32); 2] {
        [(self.began, self.cost.min(self.took)), (self.ended, self.more())]
    }
}

/// Lets calls come so many milliseconds after each other, and says what became of those that were let
/// through.
fn pasts(limiter: KeyedRateLimiter<impl Algorithm>, jobs: Vec<(u64, Job)>) -> Vec<Past> {
    let pasts = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&pasts);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(async move {
        let start = Instant::now();
        let now = move || u64::try_from(start.elapsed().as_millis()).unwrap();
        let work = service_fn(move |job: Job| {
            let written = Arc::clone(&written);
            async move {
                let began = now();
                let cost = work(job).await.unwrap();
                written.lock().unwrap().push(Past { began, ended: now(), took: job.takes, cost });
                Ok::<_, &str>(cost)
            }
        });
        let layer = RateLimitLayer::per_key(|_: &Job| (), limiter).terms(takes);
        let service = layer.settle(|cost: &u32| *cost).layer(work);
        let mut calls = tokio::task::JoinSet::new();
        for (pause, job) in jobs {
            sleep(ms(pause)).await;
            calls.spawn(service.clone().oneshot(job));
        }
        calls.join_all().await;
    });
    Arc::into_inner(pasts).unwrap().into_inner().unwrap()
}

fn jobs() -> impl Strategy<Value = Vec<(u64, Job)>> {
    let job = (0..60u64, 1..=4u32, 0..120u64, 0..=9u32).prop_map(|(pause, takes, lasts, costs)| {
        (pause, Job { takes, lasts: ms(lasts), costs: Ok(costs) })
    });
    prop::collection::vec(job, 1..60)
}

/// In windows of these lengths the real costs are within the bound, and what those in flight at one
/// time cost more than they had taken.
fn keep_to_the_bound(
    algorithm: impl Algorithm,
    jobs: Vec<(u64, Job)>,
    lengths: impl Fn(u64) -> bool,
) -> Result<(), TestCaseError> {
    let most: Vec<_> = (0..1000).map(|length| algorithm.most_in(ms(length))).collect();
    let pasts = pasts(KeyedRateLimiter::new(algorithm), jobs);
    let in_flight = |at: u64| {
        let running = pasts.iter().filter(|past| (past.began..=past.ended).contains(&at));
        running.map(|past| u64::from(past.more())).sum::<u64>()
    };
    let debts = pasts.iter().map(|past| in_flight(past.began)).max().unwrap_or(0);
    let uses: Vec<_> = pasts.iter().flat_map(|past| past.uses()).collect();
    for (from, _) in &uses {
        for length in (1..1000).filter(|length| lengths(*length)) {
            let inside = uses.iter().filter(|(at, _)| (*from..from + length).contains(at));
            let used: u64 = inside.map(|(_, permits)| u64::from(*permits)).sum();
            let most = most[usize::try_from(length).unwrap()];
            prop_assert!(used <= most + debts, "{used} in {length} ms from {from}: {pasts:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn real_costs_keep_to_the_bound_of_a_bucket_but_for_those_in_flight(jobs in jobs()) {
        keep_to_the_bound(one_per(20).capacity(5).unwrap(), jobs, |length| length % 7 == 0)?;
    }

    #[test]
    fn real_costs_keep_to_the_bound_of_a_window_but_for_those_in_flight(jobs in jobs()) {
        keep_to_the_bound(window(5, 100), jobs, |length| length == 100)?;
    }
}
