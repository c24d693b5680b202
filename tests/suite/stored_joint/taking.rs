//! What is taken, and which limit a refusal names.

use super::{builder, left, two};
use crate::stored::{Slow, bucket, ms, refused};
use tokio::task::JoinSet;
use tower_ratelimit::{OnFailure, Quota, Rate, Reason, StoredLimiter};

#[tokio::test(start_paused = true)]
async fn a_limit_that_refuses_keeps_the_others_from_being_taken() {
    let store = Slow::new(10);
    let (limiter, few, many) = two(builder(&store), "quota 2", "quota 10");
    // In either order.
    let calls = [limiter.on(few, "k").on(many, "k"), limiter.on(many, "k").on(few, "k")];
    for call in &calls {
        call.try_acquire().await.unwrap();
    }
    for call in calls.iter().cycle().take(10) {
        let refusal = refused(call.try_acquire().await);
        assert_eq!((refusal.limit(), refusal.reason()), (Some("a"), Reason::Exhausted));
        assert_eq!(refusal.retry_after(), None);
    }
    assert_eq!(left(&limiter, many, "k").await, 8);
    assert_eq!(store.batches()[..4], [2, 2, 2, 2], "one round trip each");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_limit_with_the_longest_wait() {
    let lines = ["leaky bucket 1/100ms, capacity 1", "leaky bucket 1/300ms, capacity 1"];
    for (a, b, name) in [(lines[0], lines[1], "b"), (lines[1], lines[0], "a")] {
        let (limiter, a, b) = two(builder(&Slow::new(0)), a, b);
        let call = limiter.on(a, "k").on(b, "k");
        call.try_acquire().await.unwrap();
        let refusal = refused(call.try_acquire().await);
        assert_eq!((refusal.limit(), refusal.reason()), (Some(name), Reason::UsedUp));
        assert_eq!(refusal.rate(), Some(Rate::new(1, ms(300)).unwrap()));
        assert_eq!(refusal.retry_after(), Some(ms(300)));
        assert_eq!(refusal.max_wait(), Some(ms(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cost_that_can_never_be_had_is_told_so_at_once() {
    let (limiter, a, b) =
        two(builder(&Slow::new(0)), "leaky bucket 1/s, capacity 1", "sliding window 2/s");
    limiter.on(a, "k").try_acquire().await.unwrap();
    let refusal = refused(limiter.on(a, "k").on_many(b, "k", 3).acquire().await);
    let told = (refusal.limit(), refusal.reason(), refusal.cost());
    assert_eq!(told, (Some("b"), Reason::TooCostly, 3));
}

#[tokio::test(start_paused = true)]
async fn the_same_limit_and_key_named_twice_cost_twice() {
    let (limiter, a, _) = two(builder(&Slow::new(0)), "quota 5", "quota 5");
    limiter.on(a, "k").on_many(a, "k", 2).try_acquire().await.unwrap();
    assert_eq!(left(&limiter, a, "k").await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_costs_nothing_passes_and_the_store_is_not_asked() {
    let store = Slow::new(10);
    let (limiter, a, b) = two(builder(&store), "quota 1", "quota 1");
    let permit = limiter.on_many(a, "k", 0).on_many(b, "k", 0).try_acquire().await.unwrap();
    assert!(permit.binding().is_none());
    assert!(store.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_permit_tells_of_the_limit_that_has_the_least_left() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), "quota 9", "quota 5");
    let permit = limiter.on(a, "k").on(b, "k").try_acquire().await.unwrap();
    let binding = permit.binding().unwrap();
    assert_eq!((binding.limit(), binding.decision().remaining), (Some("b"), 4));
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_same_name_are_the_same_whatever_limiter_asks() {
    let store = Slow::new(0);
    let (limiter, a, b) = two(builder(&store), "quota 3", "quota 3");
    let quota = Quota::new(3).unwrap().into();
    let alone = StoredLimiter::builder("a", store.clone(), quota, OnFailure::Refuse);
    let alone = alone.build().unwrap();
    limiter.on(a, "k").on(b, "k").try_acquire().await.unwrap();
    assert_eq!(alone.key("k").try_acquire_many(2).await.unwrap().decision().unwrap().remaining, 0);
    assert_eq!(refused(limiter.on(a, "k").on(b, "k").try_acquire().await).limit(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_another_limiter_is_an_error() {
    let store = Slow::new(0);
    let (limiter, a, _) = two(builder(&store), "quota 3", "quota 3");
    let (_, other, _) = two(builder(&store), "quota 3", "quota 3");
    let refusal = refused(limiter.on(a, "k").on(other, "k").try_acquire().await);
    assert_eq!(refusal.reason(), Reason::UnknownLimit);
    assert!(limiter.set_algorithm(other, Quota::new(1).unwrap()).is_err());
}

#[tokio::test(start_paused = true)]
async fn of_many_who_ask_at_once_exactly_as_many_pass_as_the_limits_allow() {
    let store = Slow::new(3).at_once(2);
    let limiters = [(); 3].map(|()| two(builder(&store), "quota 50", "quota 220"));
    let mut calls = JoinSet::new();
    for caller in 0..60_u64 {
        let (limiter, per_user, over_all) = limiters[caller as usize % 3].clone();
        calls.spawn(async move {
            let user = caller % 6;
            let call = limiter.on(per_user, &user).on(over_all, &());
            let mut admitted = 0;
            while call.try_acquire().await.is_ok() {
                admitted += 1;
            }
            (user, admitted)
        });
    }
    let mut admitted = [0; 6];
    while let Some(call) = calls.join_next().await {
        let (user, calls) = call.unwrap();
        admitted[user as usize] += calls;
    }
    // 6 users have 50 each, and all together 220.
    assert_eq!(admitted.iter().sum::<u32>(), 220);
    let (limiter, per_user, _) = &limiters[0];
    for (user, calls) in (0..6_u64).zip(admitted) {
        let left = limiter.on_many(*per_user, &user, 0).peek().await.unwrap();
        assert_eq!(left.decision().remaining, 50 - calls, "nothing was taken for those refused");
    }
}

#[tokio::test(start_paused = true)]
async fn names_and_parameters_are_checked() {
    let mut limits = builder(&Slow::new(0));
    limits.limit("a", bucket(1, 1)).unwrap();
    assert_eq!(limits.limit("a", bucket(1, 1)).unwrap_err().parameter(), "name");
    assert_eq!(limits.limit("", bucket(1, 1)).unwrap_err().parameter(), "name");
    assert_eq!(builder(&Slow::new(0)).deadline(ms(0)).unwrap_err().parameter(), "deadline");
    assert_eq!(builder(&Slow::new(0)).breaker(0, ms(1)).unwrap_err().parameter(), "failures");
    assert_eq!(builder(&Slow::new(0)).max_asks(0).unwrap_err().parameter(), "max_asks");
    assert_eq!(builder(&Slow::new(0)).max_batch(0).unwrap_err().parameter(), "max_batch");
}
