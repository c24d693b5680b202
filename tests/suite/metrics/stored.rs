//! Limits that a store keeps.

use super::{Watched, ms, watched};
use crate::stored::{Slow, bucket, builder, refused, slow::Mood};
use std::future::IntoFuture;
use tokio::time::sleep;
use tokio_test::{assert_pending, task::spawn};
use tower_ratelimit::{
    Algorithm, Concurrency, LeakyBucket, OnFailure, Quota, StoredBuilder, StoredLimiter,
};

type Limiter<A> = StoredLimiter<A, Slow<A>>;

fn stored<A: Algorithm>(
    store: &Slow<A>,
    algorithm: A,
    set: impl FnOnce(StoredBuilder<A, Slow<A>>) -> StoredBuilder<A, Slow<A>>,
) -> Watched<Limiter<A>> {
    watched(|| set(builder(store, algorithm)).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn calls_and_batches_are_counted() {
    let mut watched = stored(&Slow::new(10), Quota::new(3).unwrap(), |builder| builder);
    let limit = watched.limiter.key("alice");
    let calls = tokio::join!(
        limit.try_acquire(),
        limit.try_acquire(),
        limit.try_acquire_many(2),
        limit.try_acquire_many(4)
    );
    calls.0.unwrap();
    refused(calls.2);
    refused(calls.3);
    let says = "admitted_total=2, refused_total exhausted=1, refused_total too_costly=1, \
        store_batches_total=2, batches=[1.0, 3.0]";
    assert_eq!(watched.says(), says);
    drop(calls.1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_in_the_gauge_until_it_is_let_go_or_goes_away() {
    let mut watched = stored(&Slow::new(0), bucket(100, 1), |builder| builder);
    let limit = watched.limiter.key("alice");
    limit.acquire().await.unwrap();
    let mut calls = [(); 3].map(|()| spawn(limit.acquire().into_future()));
    for call in &mut calls {
        assert_pending!(call.poll());
        sleep(ms(1)).await;
        assert_pending!(call.poll());
    }
    watched.read();
    assert_eq!(watched.totals["waiting"], 3.0);
    drop(calls);
    watched.read();
    assert_eq!(watched.totals["waiting"], 0.0);
    sleep(ms(1000)).await;
    limit.acquire().await.unwrap();
    limit.acquire().await.unwrap();
    watched.read();
    assert_eq!((watched.totals["waiting"], &watched.waits), (0.0, &vec![0.1]));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_calls_to_end_are_in_the_gauge_too() {
    let one = Concurrency::new(1).unwrap();
    let mut watched = stored(&Slow::new(0), one, |builder| builder);
    let limit = watched.limiter.key("alice");
    let permit = limit.acquire().await.unwrap();
    let waits = tokio::spawn(limit.acquire().into_future());
    sleep(ms(10)).await;
    watched.read();
    assert_eq!(watched.totals["waiting"], 1.0);
    drop(permit);
    waits.await.unwrap().unwrap();
    watched.read();
    assert_eq!((watched.totals["waiting"], watched.waits.len()), (0.0, 1));
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_and_what_is_not_asked_because_of_them() {
    let store = Slow::new(0);
    store.set(Mood::Fails);
    let set = |builder: StoredBuilder<LeakyBucket, _>| builder.breaker(2, ms(1000)).unwrap();
    let mut watched = stored(&store, bucket(100, 1), set);
    for _ in 0..5 {
        refused(watched.limiter.key("alice").try_acquire().await);
    }
    let says = "refused_total unavailable=5, store_batches_total=2, \
        store_failures_total failed=2, store_fallbacks_total refuse=5, store_open_breakers=1, \
        store_spared_total left_alone=3, batches=[1.0, 1.0]";
    assert_eq!(watched.says(), says);
    store.set(Mood::Answers);
    sleep(ms(1000)).await;
    watched.limiter.key("alice").try_acquire().await.unwrap();
    watched.read();
    assert_eq!(watched.totals["store_open_breakers"], 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_left_alone_goes_with_its_limiter() {
    let store = Slow::new(0);
    store.set(Mood::Fails);
    let set = |builder: StoredBuilder<LeakyBucket, _>| builder.breaker(1, ms(1000)).unwrap();
    let Watched { limiter, snapshotter, .. } = stored(&store, bucket(100, 1), set);
    refused(limiter.key("alice").try_acquire().await);
    let mut watched = Watched { snapshotter, ..watched(|| ()) };
    watched.read();
    assert_eq!(watched.totals["store_open_breakers"], 1.0);
    drop(limiter);
    watched.read();
    assert_eq!(watched.totals["store_open_breakers"], 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_late_and_asks_that_are_too_many_are_told_apart_from_failures() {
    let store = Slow::new(0);
    store.set(Mood::Hangs);
    let set = |builder: StoredBuilder<LeakyBucket, _>| {
        builder.deadline(ms(50)).unwrap().max_asks(2).unwrap()
    };
    let mut watched = stored(&store, bucket(100, 1), set);
    let limit = watched.limiter.key("alice");
    let calls = tokio::join!(limit.try_acquire(), limit.try_acquire(), limit.try_acquire());
    refused(calls.0);
    refused(calls.1);
    refused(calls.2);
    let says = "refused_total unavailable=3, store_batches_total=2, \
        store_failures_total too_late=2, store_fallbacks_total refuse=3, \
        store_spared_total too_many=1, batches=[1.0, 1.0]";
    assert_eq!(watched.says(), says);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_decided_without_the_store_are_counted_by_what_decides_them() {
    let store = Slow::new(0);
    store.set(Mood::Fails);
    let with = |on_failure| {
        let builder = StoredLimiter::builder("api", store.clone(), bucket(100, 9), on_failure);
        watched(|| builder.build().unwrap())
    };
    let mut admits = with(OnFailure::Admit);
    admits.limiter.key("alice").try_acquire().await.unwrap();
    let says = "admitted_total=1, store_batches_total=1, store_failures_total failed=1, \
        store_fallbacks_total admit=1, batches=[1.0]";
    assert_eq!(admits.says(), says);
    let mut shares = with(OnFailure::Local(bucket(100, 1)));
    shares.limiter.key("alice").try_acquire().await.unwrap();
    refused(shares.limiter.key("alice").try_acquire().await);
    // Under the name of the share, and under that of the limit.
    let says = "admitted_total=2, keys=1, refused_total used_up=2, store_batches_total=2, \
        store_failures_total failed=2, store_fallbacks_total local=2, batches=[1.0, 1.0]";
    assert_eq!(shares.says(), says);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_travel_together_than_may() {
    let set = |builder: StoredBuilder<Quota, _>| builder.max_batch(2).unwrap();
    let mut watched = stored(&Slow::new(10), Quota::new(5).unwrap(), set);
    let limit = watched.limiter.key("alice");
    let call = || limit.try_acquire();
    let calls = tokio::join!(call(), call(), call(), call(), call(), call());
    refused(calls.5);
    watched.read();
    assert_eq!(watched.batches, [1.0, 2.0, 2.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn refusals_out_of_memory_are_counted() {
    let set = |builder: StoredBuilder<LeakyBucket, _>| builder.remember_refused(10).unwrap();
    let mut watched = stored(&Slow::new(0), bucket(100, 1), set);
    let limit = watched.limiter.key("alice");
    limit.try_acquire().await.unwrap();
    for _ in 0..3 {
        refused(limit.try_acquire().await);
    }
    let says = "admitted_total=1, keys=1, refused_total used_up=3, store_batches_total=2, \
        store_spared_total remembered=2, batches=[1.0, 1.0]";
    assert_eq!(watched.says(), says);
}
