//! A store that does not answer.

use super::{Limiter, Store, builder, left, two};
use crate::stored::{
    Slow, ms, refused, since,
    slow::Mood::{self, Answers, Fails, Forgets, Hangs, Panics, Rambles},
};
use std::error::Error;
use tokio::time::{Instant, sleep};
use tower_ratelimit::{
    AnyAlgorithm, JointBuilder, JointLimiter, LimitId, OnFailure, Quota, Reason, StoredJointLimiter,
};

const LINE: &str = "leaky bucket 1/100ms, capacity 9";

fn with(store: &Store, on_failure: OnFailure<JointBuilder>) -> (Limiter, LimitId, LimitId) {
    let builder = StoredJointLimiter::builder(store.clone(), on_failure);
    two(builder.deadline(ms(50)).unwrap().breaker(3, ms(1000)).unwrap(), LINE, LINE)
}

fn share() -> JointBuilder {
    let mut share = JointLimiter::builder();
    for (name, permits) in [("a", 2), ("b", 3)] {
        share.limit(name, Quota::new(permits).unwrap()).unwrap();
    }
    share
}

#[tokio::test(start_paused = true)]
async fn calls_are_refused_with_the_cause_whatever_goes_wrong() {
    for mood in [Fails, Hangs, Panics, Forgets, Rambles] {
        let store = Slow::new(10);
        store.set(mood);
        let (limiter, a, b) = with(&store, OnFailure::Refuse);
        let start = Instant::now();
        let refusal = refused(limiter.on(a, "k").on(b, "k").acquire().await);
        assert_eq!(refusal.reason(), Reason::Unavailable, "{mood:?}");
        assert!(refusal.source().unwrap().source().is_some());
        assert!(since(start) <= 50);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_pass_where_they_are_to_be_admitted() {
    let store = Slow::new(10);
    store.set(Fails);
    let (limiter, a, b) = with(&store, OnFailure::Admit);
    for _ in 0..100 {
        let permit = limiter.on(a, "k").on(b, "k").try_acquire().await.unwrap();
        assert!(permit.binding().is_none());
    }
    store.set(Answers);
    sleep(ms(2000)).await;
    assert_eq!(left(&limiter, a, "k").await, 9);
}

#[tokio::test(start_paused = true)]
async fn what_the_local_share_let_through_goes_back_to_it() {
    let store = Slow::new(0);
    store.set(Fails);
    let (limiter, a, b) = with(&store, OnFailure::Local(share()));
    let call = limiter.on(a, "k").on(b, "k");
    for _ in 0..5 {
        call.try_acquire().await.unwrap().refund();
    }
    call.try_acquire().await.unwrap();
    call.try_acquire().await.unwrap();
    assert_eq!(refused(call.try_acquire().await).reason(), Reason::Exhausted);
}

#[tokio::test(start_paused = true)]
async fn the_share_of_this_process_holds_together_where_there_is_one() {
    let store = Slow::new(0);
    let (limiter, a, b) = with(&store, OnFailure::Local(share()));
    let call = limiter.on(a, "k").on(b, "k");
    // What the store lets through uses it up, too.
    call.try_acquire().await.unwrap();
    store.set(Fails);
    call.try_acquire().await.unwrap();
    let refusal = refused(call.try_acquire().await);
    assert_eq!(refusal.limit(), Some("a, local share"));
    // Nothing was taken of the other.
    limiter.on(b, "k").try_acquire().await.unwrap();
    assert_eq!(refused(limiter.on(b, "k").try_acquire().await).limit(), Some("b, local share"));
}

/// A share of a limit `a`, and as good as none of `b`.
fn small_share(a: &str) -> OnFailure<JointBuilder> {
    let mut share = JointLimiter::builder();
    share.limit("a", a.parse::<AnyAlgorithm>().unwrap()).unwrap();
    share.limit("b", Quota::new(100).unwrap()).unwrap();
    OnFailure::Local(share)
}

#[tokio::test(start_paused = true)]
async fn what_the_store_let_through_uses_up_as_much_of_a_smaller_share_as_there_is() {
    let store = Slow::new(0);
    let share = small_share("leaky bucket 1/s, capacity 25");
    let builder = StoredJointLimiter::builder(store.clone(), share);
    let (limiter, a, b) = two(builder, "leaky bucket 1/ms, capacity 100", LINE);
    limiter.on_many(a, "k", 30).on(b, "k").try_acquire().await.unwrap();
    store.set(Fails);
    let refusal = refused(limiter.on(a, "k").on(b, "k").try_acquire().await);
    assert_eq!(refusal.retry_after(), Some(ms(1000)));
}

/// When calls pass in a second while the store is in these moods in turn, 10 ms each.
async fn admitted_in_a_second(moods: [Mood; 2]) -> Vec<u128> {
    let store = Slow::new(0);
    let builder =
        StoredJointLimiter::builder(store.clone(), small_share("leaky bucket 1/100ms, capacity 1"));
    let (limiter, a, b) = two(builder.breaker(u32::MAX, ms(1000)).unwrap(), LINE, "quota 1000");
    let (call, start) = (limiter.on(a, "k").on(b, "k"), Instant::now());
    let mut admitted = Vec::new();
    for mood in moods.into_iter().cycle().take(100) {
        store.set(mood);
        while call.try_acquire().await.is_ok() {
            admitted.push(since(start));
        }
        sleep(ms(10)).await;
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_and_goes_hands_out_no_fresh_burst_each_time() {
    // The burst of the store, and what comes back of it: that uses up the share.
    let expected = [0; 9].into_iter().chain((1..10).map(|call| call * 100));
    assert_eq!(admitted_in_a_second([Answers, Fails]).await, expected.collect::<Vec<_>>());
    // The burst of each, and what comes back of each, when the other has nothing.
    let bursts = [0].into_iter().chain([10; 9]);
    let expected = bursts.chain((1..10).flat_map(|call| [call * 100, call * 100 + 10]));
    assert_eq!(admitted_in_a_second([Fails, Answers]).await, expected.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_call_has_waited_counts_in_the_local_share_too() {
    let store = Slow::new(0);
    let share = small_share("leaky bucket 1/700ms, capacity 1");
    let builder = StoredJointLimiter::builder(store.clone(), share);
    let (limiter, a, b) = two(builder, "leaky bucket 1/s, capacity 1", LINE);
    let call = limiter.on(a, "k").on(b, "k");
    call.acquire().await.unwrap();
    let start = Instant::now();
    let waits = call.acquire().timeout(ms(500));
    let waits = tokio::spawn(std::future::IntoFuture::into_future(waits));
    sleep(ms(10)).await;
    store.set(Fails);
    assert_eq!(refused(waits.await.unwrap()).reason(), Reason::UsedUp);
    assert_eq!(since(start), 500);
}

#[tokio::test(start_paused = true)]
async fn a_share_without_one_of_the_limits_is_an_error() {
    let share = OnFailure::Local(JointLimiter::builder());
    let mut limits = StoredJointLimiter::builder(Slow::new(0), share);
    limits.limit("a", Quota::new(1).unwrap()).unwrap();
    assert_eq!(limits.build().unwrap_err().parameter(), "share");
}

#[tokio::test(start_paused = true)]
async fn after_several_failures_nobody_asks_for_a_while() {
    let store = Slow::new(0);
    store.set(Fails);
    let (limiter, a, b) = with(&store, OnFailure::Refuse);
    let call = limiter.on(a, "k").on(b, "k");
    for _ in 0..10 {
        refused(call.try_acquire().await);
    }
    assert_eq!(store.batches().len(), 3);
    store.set(Answers);
    sleep(ms(1000)).await;
    call.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_finds_those_who_wait() {
    let store = Slow::new(0);
    let (limiter, a, b) = two(builder(&store), "leaky bucket 1/100ms, capacity 1", LINE);
    let call = limiter.on(a, "k").on(b, "k");
    call.try_acquire().await.unwrap();
    let start = Instant::now();
    let waits = tokio::spawn(std::future::IntoFuture::into_future(call.acquire()));
    sleep(ms(10)).await;
    store.set(Mood::Fails);
    sleep(ms(50)).await;
    store.set(Answers);
    waits.await.unwrap().unwrap();
    assert_eq!(since(start), 100);
}
