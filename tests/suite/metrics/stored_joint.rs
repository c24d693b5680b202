//! Several limits that a store keeps: each counts its calls, and all together what is asked.

use super::{Watched, joint::Read, ms, watched};
use crate::stored::{Slow, refused, slow::Mood};
use tokio::time::sleep;
use tower_ratelimit::{
    AnyAlgorithm, JointBuilder, JointLimiter, LimitId, OnFailure, Quota, StoredJointLimiter,
};

type Limiter = StoredJointLimiter<Slow<AnyAlgorithm>>;

/// Limits `a` and `b` of 3 and 5 permits, in a store that is left alone after two failures.
fn limits(
    store: &Slow<AnyAlgorithm>,
    on_failure: OnFailure<JointBuilder>,
) -> (Watched<Limiter>, LimitId, LimitId) {
    let mut ids = Vec::new();
    let watched = watched(|| {
        let builder = StoredJointLimiter::builder(store.clone(), on_failure);
        let mut limits = builder.breaker(2, ms(1000)).unwrap().max_batch(2).unwrap();
        for (name, permits) in [("a", 3), ("b", 5)] {
            ids.push(limits.limit(name, Quota::new(permits).unwrap()).unwrap());
        }
        limits.build().unwrap()
    });
    (watched, ids[0], ids[1])
}

#[tokio::test(start_paused = true)]
async fn each_limit_counts_its_calls_and_a_refusal_is_counted_by_the_one_that_refuses() {
    let (watched, a, b) = limits(&Slow::new(10), OnFailure::Refuse);
    let (mut read, limiter) = (Read::default(), watched.limiter.clone());
    let (both, other) = (limiter.on(a, "k").on(b, "k"), limiter.on(b, "k"));
    // One alone, and the others two by two.
    let calls = tokio::join!(
        both.try_acquire(),
        both.try_acquire(),
        both.try_acquire(),
        both.try_acquire(),
        other.try_acquire()
    );
    refused(calls.3);
    let expected = [
        "a: admitted_total 3",
        "a: refused_total exhausted 1",
        "all: store_batch_asks 9",
        "all: store_batches_total 3",
        "b: admitted_total 4",
    ];
    assert_eq!(read.says(&watched), expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_does_not_answer_is_counted_for_all_limits_together() {
    let store = Slow::new(0);
    store.set(Mood::Fails);
    let (watched, a, b) = limits(&store, OnFailure::Refuse);
    let (mut read, limiter) = (Read::default(), watched.limiter.clone());
    let both = limiter.on(a, "k").on(b, "k");
    for _ in 0..3 {
        refused(both.try_acquire().await);
    }
    let expected = [
        "a: refused_total unavailable 3",
        "all: store_batch_asks 4",
        "all: store_batches_total 2",
        "all: store_failures_total failed 2",
        "all: store_fallbacks_total refuse 3",
        "all: store_open_breakers 1",
        "all: store_spared_total left_alone 1",
        "b: refused_total unavailable 3",
    ];
    assert_eq!(read.says(&watched), expected);
    store.set(Mood::Answers);
    sleep(ms(1000)).await;
    both.try_acquire().await.unwrap();
    assert!(!read.says(&watched).iter().any(|says| says.contains("open")));
}

#[tokio::test(start_paused = true)]
async fn the_share_counts_under_its_own_name() {
    let store = Slow::new(0);
    store.set(Mood::Fails);
    let mut share = JointLimiter::builder();
    for name in ["a", "b"] {
        share.limit(name, Quota::new(1).unwrap()).unwrap();
    }
    let (watched, a, b) = limits(&store, OnFailure::Local(share));
    let (mut read, limiter) = (Read::default(), watched.limiter.clone());
    let both = limiter.on(a, "k").on(b, "k");
    both.try_acquire().await.unwrap();
    refused(both.try_acquire().await);
    let says = read.says(&watched);
    for expected in ["a: admitted_total 1", "all: store_fallbacks_total local 2"] {
        assert!(says.contains(&expected.to_owned()), "{says:?}");
    }
}
