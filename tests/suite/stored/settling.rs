//! Calls over a store whose cost is known once there is a response.

use super::{Slow, bucket, limiter, ms};
use std::convert::Infallible;
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_ratelimit::{
    AnyAlgorithm, Concurrency, OnFailure, Quota, RateLimitLayer, SlidingWindow, StoredLimiter,
    Terms,
};

/// What a call takes in advance, and what it costs.
type Job = (u32, u32);

/// A service over this limiter that settles what its calls cost.
macro_rules! settled {
    ($limiter:expr) => {
        RateLimitLayer::per_key(|_: &Job| "alice", $limiter)
            .terms(|(takes, _): &Job, terms| Terms { cost: *takes, ..terms })
            .settle(|cost: &u32| *cost)
            .layer(service_fn(async |(_, costs): Job| Ok::<_, Infallible>(costs)))
    };
}

#[tokio::test(start_paused = true)]
async fn the_store_is_told_what_a_call_has_cost_and_nobody_waits_for_that() {
    let store = Slow::new(10);
    let limiter = limiter(&store, Quota::new(20).unwrap());
    let service = settled!(limiter.clone());
    for (job, left) in [((6, 2), 18), ((2, 0), 18), ((1, 1), 17), ((1, 12), 5), ((5, 9), 0)] {
        let start = tokio::time::Instant::now();
        service.clone().oneshot(job).await.unwrap();
        assert_eq!(start.elapsed(), ms(10));
        sleep(ms(20)).await;
        assert_eq!(limiter.key("alice").peek(0).await.unwrap().remaining, left, "{job:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_call_goes_back_to_a_window_and_a_debt_is_paid_off() {
    let store = Slow::new(0);
    let windows = SlidingWindow::new("10/s".parse().unwrap());
    let limiter = limiter(&store, windows);
    let service = settled!(limiter.clone());
    service.clone().oneshot((10, 3)).await.unwrap();
    sleep(ms(1)).await;
    assert_eq!(limiter.key("alice").peek(0).await.unwrap().remaining, 7);
    service.clone().oneshot((7, 12)).await.unwrap();
    sleep(ms(1)).await;
    service.oneshot((1, 1)).await.unwrap_err();
    // The three leave a window of fifteen, and the twelve have to.
    let wait = limiter.key("alice").peek(1).await.unwrap().retry_after();
    assert_eq!(wait, Some(ms(999)));
}

#[tokio::test(start_paused = true)]
async fn permits_that_are_held_come_back_with_the_response() {
    let store = Slow::new(0);
    let limiter = limiter(&store, Concurrency::new(3).unwrap());
    let service = settled!(limiter.clone());
    for costs in [0, 1, 2, 9] {
        service.clone().oneshot((2, costs)).await.unwrap();
        sleep(ms(1)).await;
        assert_eq!(limiter.key("alice").peek(0).await.unwrap().remaining, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_does_not_answer_the_share_of_this_process_is_settled() {
    let store = Slow::new(0);
    let share = OnFailure::Local(bucket(100, 5));
    let stored = StoredLimiter::builder("api", store.clone(), bucket(100, 50), share);
    let service = settled!(stored.build().unwrap());
    store.set(super::slow::Mood::Fails);
    service.clone().oneshot((5, 0)).await.unwrap();
    service.clone().oneshot((1, 6)).await.unwrap();
    service.clone().oneshot((1, 1)).await.unwrap_err();
    sleep(ms(200)).await;
    service.oneshot((1, 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_let_through_as_the_store_did_not_answer_is_not_settled() {
    let store = Slow::new(0);
    let stored =
        StoredLimiter::builder("api", store.clone(), Quota::new(5).unwrap(), OnFailure::Admit);
    let limiter = stored.build().unwrap();
    let service = settled!(limiter.clone());
    store.set(super::slow::Mood::Fails);
    service.oneshot((1, 5)).await.unwrap();
    store.set(super::slow::Mood::Answers);
    sleep(ms(100)).await;
    assert_eq!(limiter.key("alice").peek(0).await.unwrap().remaining, 5);
}

#[tokio::test(start_paused = true)]
async fn what_was_used_more_is_charged_to_the_limit_as_it_is_by_then() {
    let store = Slow::<AnyAlgorithm>::new(0);
    let limiter = limiter(&store, Quota::new(20).unwrap().into());
    let service = RateLimitLayer::per_key(|_: &Job| "alice", limiter.clone())
        .terms(|(takes, _): &Job, terms| Terms { cost: *takes, ..terms })
        .settle(|cost: &u32| *cost)
        .layer(service_fn(async |(_, costs): Job| {
            sleep(ms(10)).await;
            Ok::<_, Infallible>(costs)
        }));
    let limit = limiter.key("alice");
    let changes = async {
        sleep(ms(5)).await;
        limiter.set_algorithm(bucket(1000, 10).into()).unwrap();
        limit.try_acquire_many(4).await.unwrap();
    };
    let call = |job| service.clone().oneshot(job);
    let (more, less, ()) = tokio::join!(call((5, 7)), call((5, 1)), changes);
    assert_eq!((more.unwrap(), less.unwrap()), (7, 1));
    sleep(ms(1)).await;
    // Two of the quota's are missing, and four that were not used do not go back to the bucket.
    assert_eq!(limit.peek(0).await.unwrap().remaining, 4);
}
