//! A store that does not answer.

use super::{
    Slow, bucket, builder, limiter, ms, refused, since,
    slow::Mood::{self, Answers, Fails, Hangs},
};
use std::{error::Error, future::IntoFuture};
use tokio::time::{Instant, sleep};
use tower_ratelimit::{LeakyBucket, OnFailure, Quota, Reason, StoredLimiter};

fn with(
    store: &Slow<LeakyBucket>,
    on_failure: OnFailure<LeakyBucket>,
) -> StoredLimiter<LeakyBucket, Slow<LeakyBucket>> {
    let builder = StoredLimiter::builder("api", store.clone(), bucket(100, 10), on_failure);
    builder.breaker(3, ms(1000)).unwrap().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn calls_are_refused_with_the_cause_where_they_are_to_be_refused() {
    let store = Slow::new(10);
    store.set(Fails);
    let limiter = with(&store, OnFailure::Refuse);
    let refusal = refused(limiter.key("alice").acquire().await);
    assert_eq!(refusal.reason(), Reason::Unavailable);
    assert_eq!(refusal.to_string(), "limit api is not available");
    let failure = refusal.source().unwrap();
    assert_eq!(failure.to_string(), "the store of the limits failed");
    assert_eq!(failure.source().unwrap().to_string(), "it is told to");
}

#[tokio::test(start_paused = true)]
async fn calls_pass_where_they_are_to_be_admitted() {
    let store = Slow::new(10);
    store.set(Fails);
    let limiter = with(&store, OnFailure::Admit);
    for _ in 0..100 {
        let permit = limiter.key("alice").try_acquire().await.unwrap();
        assert_eq!(permit.decision(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_local_share_holds_where_there_is_one() {
    let store = Slow::new(0);
    store.set(Fails);
    let limiter = with(&store, OnFailure::Local(bucket(100, 2)));
    let limit = limiter.key("alice");
    limit.try_acquire().await.unwrap();
    limit.try_acquire().await.unwrap();
    assert_eq!(refused(limit.try_acquire().await).reason(), Reason::UsedUp);
    let start = Instant::now();
    let permit = limit.acquire().await.unwrap();
    assert_eq!((since(start), permit.waited()), (100, ms(100)));
    limiter.key("bob").try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_local_share_let_through_goes_back_to_it() {
    let store = Slow::new(0);
    store.set(Fails);
    let limiter = with(&store, OnFailure::Local(bucket(100, 1)));
    let limit = limiter.key("alice");
    for _ in 0..5 {
        limit.try_acquire().await.unwrap().refund();
    }
    let _kept = limit.try_acquire().await.unwrap();
    assert_eq!(refused(limit.try_acquire().await).reason(), Reason::UsedUp);
}

/// When calls pass in a second while the store is in these moods in turn, 10 ms each.
async fn admitted_in_a_second(moods: [Mood; 2]) -> Vec<u128> {
    let store = Slow::new(0);
    let share = OnFailure::Local(bucket(100, 2));
    let builder = StoredLimiter::builder("api", store.clone(), bucket(100, 10), share);
    let limiter = builder.breaker(u32::MAX, ms(1000)).unwrap().build().unwrap();
    let (limit, start) = (limiter.key("alice"), Instant::now());
    let mut admitted = Vec::new();
    for mood in moods.into_iter().cycle().take(100) {
        store.set(mood);
        while limit.try_acquire().await.is_ok() {
            admitted.push(since(start));
        }
        sleep(ms(10)).await;
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_and_goes_hands_out_no_fresh_burst_each_time() {
    // The burst of the store, and what comes back of it: that uses up the share.
    let expected = [0; 10].into_iter().chain((1..10).map(|call| call * 100));
    assert_eq!(admitted_in_a_second([Answers, Fails]).await, expected.collect::<Vec<_>>());
    // The burst of each, and what comes back of each, when the other has nothing.
    let bursts = [0; 2].into_iter().chain([10; 10]);
    let expected = bursts.chain((1..10).flat_map(|call| [call * 100, call * 100 + 10]));
    let expected: Vec<_> = expected.collect();
    assert_eq!(admitted_in_a_second([Fails, Answers]).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_let_through_uses_up_the_local_share() {
    let store = Slow::new(0);
    let limiter = with(&store, OnFailure::Local(bucket(100, 2)));
    let limit = limiter.key("alice");
    for _ in 0..2 {
        limit.try_acquire().await.unwrap();
    }
    store.set(Fails);
    assert_eq!(refused(limit.try_acquire().await).retry_after(), Some(ms(100)));
}

#[tokio::test(start_paused = true)]
async fn what_the_store_let_through_uses_up_as_much_of_a_smaller_share_as_there_is() {
    let store = Slow::new(0);
    let share = OnFailure::Local(bucket(1000, 25));
    let limiter = StoredLimiter::builder("api", store.clone(), bucket(1, 100), share);
    let limit = limiter.build().unwrap().key("alice");
    limit.try_acquire_many(30).await.unwrap();
    store.set(Fails);
    assert_eq!(refused(limit.try_acquire().await).retry_after(), Some(ms(1000)));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_call_has_waited_counts_in_the_local_share_too() {
    let store = Slow::new(0);
    let share = OnFailure::Local(bucket(700, 1));
    let limiter = StoredLimiter::builder("api", store.clone(), bucket(1000, 1), share);
    let limit = limiter.build().unwrap().key("alice");
    limit.acquire().await.unwrap();
    let start = Instant::now();
    let waits = limit.acquire().timeout(ms(500)).into_future();
    let waits = tokio::spawn(waits);
    sleep(ms(10)).await;
    store.set(Fails);
    assert_eq!(refused(waits.await.unwrap()).reason(), Reason::UsedUp);
    assert_eq!(since(start), 500);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_at_the_deadline() {
    let store = Slow::new(10);
    store.set(Hangs);
    let limiter = builder(&store, bucket(100, 1)).deadline(ms(50)).unwrap().build().unwrap();
    let start = Instant::now();
    // One by itself, the others in a batch.
    let limit = limiter.key("alice");
    let calls = [(); 3].map(|()| {
        let limit = limit.clone();
        tokio::spawn(async move { refused(limit.acquire().await).reason() })
    });
    for call in calls {
        assert_eq!(call.await.unwrap(), Reason::Unavailable);
        assert_eq!(since(start), 50);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_late_is_given_back() {
    let store = Slow::new(100);
    let limiter = builder(&store, Quota::new(1).unwrap()).deadline(ms(60)).unwrap();
    let limiter = limiter.build().unwrap();
    let limit = limiter.key("alice");
    assert_eq!(refused(limit.try_acquire().await).reason(), Reason::Unavailable);
    sleep(ms(500)).await;
    let limiter = super::limiter(&store, Quota::new(1).unwrap());
    limiter.key("alice").try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_several_failures_nobody_asks_for_a_while() {
    let store = Slow::new(0);
    store.set(Fails);
    let limiter = with(&store, OnFailure::Refuse);
    let limit = limiter.key("alice");
    for _ in 0..10 {
        assert_eq!(refused(limit.try_acquire().await).reason(), Reason::Unavailable);
    }
    assert_eq!(store.batches().len(), 3);
    store.set(Answers);
    sleep(ms(999)).await;
    refused(limit.try_acquire().await);
    assert_eq!(store.batches().len(), 3);
    sleep(ms(1)).await;
    limit.try_acquire().await.unwrap();
    limit.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_is_one_failure_however_many_travel_in_it() {
    for mood in [Fails, Hangs] {
        let store = Slow::new(10);
        store.set(mood);
        let limiter = with(&store, OnFailure::Refuse);
        let limit = limiter.key("alice");
        // One by itself, and all others in a batch.
        let calls = [(); 20].map(|()| {
            let limit = limit.clone();
            tokio::spawn(async move { refused(limit.try_acquire().await).reason() })
        });
        for call in calls {
            assert_eq!(call.await.unwrap(), Reason::Unavailable);
        }
        assert_eq!(store.batches(), [1, 19]);
        store.set(Answers);
        limit.try_acquire().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_a_failure_also_where_callers_give_up_as_soon_as_it_does() {
    let store = Slow::new(10);
    store.set(Hangs);
    let limiter = with(&store, OnFailure::Refuse);
    let limit = limiter.key("alice");
    // It is not answered for as long as the test lasts, so that all others get in the queue.
    assert_eq!(refused(limit.try_acquire().await).reason(), Reason::Unavailable);
    for batch in 1..=2 {
        assert_eq!(refused(limit.try_acquire().await).reason(), Reason::Unavailable);
        assert_eq!(store.batches().len(), 1 + batch);
        sleep(ms(1)).await;
    }
    assert_eq!(refused(limit.try_acquire().await).reason(), Reason::Unavailable);
    assert_eq!(store.batches().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn more_asks_than_may_be_under_way_fare_as_if_the_store_did_not_answer() {
    let store = Slow::new(10);
    let limiter = builder(&store, bucket(1, 10)).max_asks(2).unwrap().build().unwrap();
    let limit = limiter.key("alice");
    let (first, second, third) =
        tokio::join!(limit.try_acquire(), limit.try_acquire(), limit.try_acquire());
    first.unwrap();
    second.unwrap();
    assert_eq!(refused(third).reason(), Reason::Unavailable);
    limit.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_set_is_told() {
    let builder = || builder(&Slow::new(0), bucket(1, 1));
    let message = |result: Result<_, tower_ratelimit::Invalid>| result.map(drop).unwrap_err();
    let zero = ms(0);
    assert_eq!(
        message(builder().deadline(zero)).to_string(),
        "deadline is 0 s, but must be longer than that"
    );
    assert_eq!(message(builder().breaker(0, ms(1))).parameter(), "failures");
    assert_eq!(message(builder().breaker(1, zero)).parameter(), "pause");
    assert_eq!(message(builder().max_asks(0)).parameter(), "max_asks");
    assert_eq!(message(builder().max_batch(0)).parameter(), "max_batch");
    assert_eq!(message(builder().remember_refused(0)).parameter(), "remember_refused");
    let nameless =
        StoredLimiter::builder("", Slow::new(0), bucket(1, 1), OnFailure::Refuse).build();
    assert_eq!(nameless.map(drop).unwrap_err().parameter(), "name");
}

#[test]
fn a_runtime_that_is_gone_is_a_failure_and_no_hang() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let store = Slow::new(0);
    let limiter = first.block_on(async { limiter(&store, bucket(1, 10)) });
    drop(first);
    runtime().block_on(async {
        let limit = limiter.key("alice");
        let (first, second) = tokio::join!(limit.try_acquire(), limit.try_acquire());
        first.unwrap();
        second.unwrap();
    });
}
