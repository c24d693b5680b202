//! Keys that lie in different places of the store.

use super::{builder, left, two};
use crate::stored::{Slow, ms, refused};
use std::error::Error;
use tokio::time::sleep;
use tower_ratelimit::{OnFailure, Reason, StoredJointLimiter};

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_what_lies_apart_fails_alone() {
    let store = Slow::new(10).spread();
    let (limiter, a, b) = two(builder(&store), "quota 100", "quota 100");
    // One travels by itself, and those who come meanwhile together.
    let first = tokio::spawn({
        let call = limiter.on(a, "k").on(b, "k");
        async move { call.try_acquire().await.map(drop) }
    });
    sleep(ms(1)).await;
    let innocent = [(); 5].map(|()| limiter.on(a, "k").on(b, "k"));
    let guilty = limiter.on(a, "k").on(b, "other");
    let [c1, c2, c3, c4, c5] = &innocent;
    let (r1, r2, refusal, r3, r4, r5) = tokio::join!(
        c1.try_acquire(),
        c2.try_acquire(),
        guilty.try_acquire(),
        c3.try_acquire(),
        c4.try_acquire(),
        c5.try_acquire(),
    );
    for result in [r1, r2, r3, r4, r5] {
        result.unwrap();
    }
    first.await.unwrap().unwrap();
    let refusal = refused(refusal);
    assert_eq!(refusal.reason(), Reason::NotTogether);
    assert_eq!(refusal.source().unwrap().source().unwrap().to_string(), "keys lie apart");
    assert_eq!(store.batches(), [2, 10], "nothing was sent for it");
    assert_eq!(left(&limiter, a, "k").await, 94);
    assert_eq!(left(&limiter, b, "other").await, 100);
}

#[tokio::test(start_paused = true)]
async fn what_lies_apart_is_no_failure_of_the_store() {
    let store = Slow::new(0).spread();
    let limits = StoredJointLimiter::builder(store, OnFailure::Admit);
    let (limiter, a, b) = two(limits.breaker(1, ms(1000)).unwrap(), "quota 1", "quota 1");
    for _ in 0..10 {
        let refusal = refused(limiter.on(a, "k").on(b, "other").acquire().await);
        assert_eq!(refusal.reason(), Reason::NotTogether);
    }
    let permit = limiter.on(a, "k").on(b, "k").try_acquire().await.unwrap();
    assert!(permit.binding().is_some(), "the store is asked");
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_tag_are_taken_together() {
    let (limiter, per_user, per_tenant) =
        two(builder(&Slow::new(0).spread()), "quota 2", "quota 3");
    let call =
        |tenant: &str, user: &str| limiter.tagged(tenant).on(per_user, user).on(per_tenant, &());
    for user in ["alice", "alice", "bob"] {
        call("acme", user).try_acquire().await.unwrap();
    }
    assert_eq!(refused(call("acme", "bob").try_acquire().await).limit(), Some("b"));
    assert_eq!(refused(call("acme", "alice").try_acquire().await).limit(), Some("a"));
    call("other", "alice").try_acquire().await.unwrap();
    // What a tag has been told from is another key.
    limiter.on(per_tenant, "acme").try_acquire().await.unwrap();
    limiter.on(per_user, &("acme", "alice")).try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn limits_that_lie_apart_can_be_looked_at() {
    let (limiter, a, b) = two(builder(&Slow::new(0).spread()), "quota 2", "quota 3");
    let binding = limiter.on(a, "k").on(b, "other").peek().await.unwrap();
    assert_eq!(binding.limit(), Some("a"));
}
