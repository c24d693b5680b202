//! What every call of a layer costs, which is said once.

use super::{one_per, outage::Outage};
use tower_ratelimit::{
    Concurrency, Enforcement, Invalid, JointLimiter, KeyedRateLimiter, LeakyBucket, OnFailure,
    Quota, Rate, RateLimitLayer, RateLimiter, Reason, SlidingWindow, StoredJointLimiter,
    StoredLimiter, Strict, limiter::IntoLimiter, store::MemoryStore,
};

fn five() -> LeakyBucket {
    one_per(100).capacity(5).unwrap()
}

/// Whether the layer takes a cost of 1, 5, 6 and the most that there is; zero it never takes.
fn takes<M, L: IntoLimiter<M>>(limiter: L) -> [bool; 4] {
    let layer = RateLimitLayer::new(limiter);
    assert_eq!(layer.clone().cost(0).err(), Some(Invalid::new("cost", 0, "at least 1")));
    [1, 5, 6, u32::MAX].map(|cost| layer.clone().cost(cost).is_ok())
}

const UP_TO_FIVE: [bool; 4] = [true, true, false, false];

/// Zero once switched the limit off, and the others failed every call.
#[test]
fn a_cost_that_nobody_could_ever_have_makes_no_layer() {
    let [per_second, per_minute] = [Rate::per_second(5).unwrap(), Rate::per_minute(20).unwrap()];
    assert_eq!(takes(five()), UP_TO_FIVE);
    assert_eq!(takes(SlidingWindow::all([per_second, per_minute]).unwrap()), UP_TO_FIVE);
    assert_eq!(takes(Quota::new(5).unwrap()), UP_TO_FIVE);
    assert_eq!(takes(Concurrency::new(5).unwrap()), UP_TO_FIVE);
    // So many of its slots, one after the other.
    assert_eq!(takes(Strict::new(per_second)), [true; 4]);
}

/// Those of stores are built where there is a runtime.
#[tokio::test]
async fn every_limiter_knows_what_its_limits_could_ever_grant() {
    let used = RateLimiter::new(five());
    used.try_acquire_many(5).unwrap();
    assert_eq!(takes(used), UP_TO_FIVE);
    assert_eq!(takes(KeyedRateLimiter::new(five())), UP_TO_FIVE);
    assert_eq!(takes(Enforcement::shadow().of(RateLimiter::new(five()))), UP_TO_FIVE);
    let stored = StoredLimiter::builder("five", MemoryStore::default(), five(), OnFailure::Refuse);
    assert_eq!(takes(stored.build().unwrap()), UP_TO_FIVE);

    let mut limits = JointLimiter::builder();
    let few = limits.limit("few", one_per(100).capacity(11).unwrap()).unwrap();
    let many = limits.limit("many", one_per(100).capacity(100).unwrap()).unwrap();
    // Each call takes two of them.
    assert_eq!(takes(limits.build().on(many, &()).on_many(few, &(), 2)), UP_TO_FIVE);
    let mut limits = StoredJointLimiter::builder(MemoryStore::default(), OnFailure::Refuse);
    let few = limits.limit("few", one_per(100).capacity(11).unwrap()).unwrap();
    let many = limits.limit("many", one_per(100).capacity(100).unwrap()).unwrap();
    let limiter = limits.build().unwrap();
    assert_eq!(takes(limiter.on(many, &()).on_many(few, &(), 2)), UP_TO_FIVE);

    // One from outside that does not know.
    assert_eq!(takes(Outage { reason: Reason::Unavailable, after: None }), [true; 4]);
}
