//! Fields of limits that a store keeps: by its answer to the call, and not one question more.

use super::{bucket, call};
use http::Request;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tower_ratelimit::{
    JointLayer, LeakyBucket, ManualClock, OnFailure, RateLimitLayer, StoredJointLimiter,
    StoredLimiter,
    http::{FieldGeneration::Draft11, RateLimitFields, TooManyRequests},
    store::{Answer, Batch, MemoryStore, Store, StoreError},
};

/// Counts the questions, and does not answer once it is away.
#[derive(Clone)]
struct Counting(MemoryStore<LeakyBucket>, Arc<AtomicUsize>, bool);

impl Store<LeakyBucket> for Counting {
    async fn decide(&self, batch: Batch<LeakyBucket>) -> Result<Vec<Answer>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        match self.2 {
            true => Err(StoreError::new("it is away")),
            false => self.0.decide(batch).await,
        }
    }
}

#[tokio::test]
async fn the_fields_are_those_of_the_answer() {
    let clock = ManualClock::new();
    let (asked, store) = (Arc::new(AtomicUsize::new(0)), MemoryStore::with_clock(clock.clone()));
    let store = Counting(store, Arc::clone(&asked), false);
    let limiter = StoredLimiter::builder("api", store, bucket("1/10s", 2), OnFailure::Refuse);
    let limiter = limiter.clock(clock).build().unwrap();
    let layer = RateLimitLayer::per_key(|_: &Request<()>| 7, limiter).reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
    let policy = r#"ratelimit-policy: "api";q=2;w=20"#;
    let told = |state: &str| vec![policy.to_owned(), format!("ratelimit: {state}")];
    assert_eq!(call(&layer, "/").await, (200, told(r#""api";r=1;t=10"#)));
    assert_eq!(call(&layer, "/").await, (200, told(r#""api";r=0;t=20"#)));
    let refused = [vec!["retry-after: 10".to_owned()], told(r#""api";r=0;t=10"#)].concat();
    assert_eq!(call(&layer, "/").await, (429, refused));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn while_the_store_is_away_only_the_policy_is_known() {
    for (on_failure, status) in [(OnFailure::Refuse, 503), (OnFailure::Admit, 200)] {
        let store = Counting(MemoryStore::default(), Arc::default(), true);
        let limiter = StoredLimiter::builder("api", store, bucket("1/s", 2), on_failure);
        let limiter = limiter.build().unwrap();
        let layer = RateLimitLayer::per_key(|_: &Request<()>| 7, limiter).reply(TooManyRequests);
        let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
        let policy = r#"ratelimit-policy: "api";q=2;w=2"#;
        assert_eq!(call(&layer, "/").await, (status, vec![policy.to_owned()]));
    }
}

#[tokio::test]
async fn several_limits_of_a_store_are_all_told() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let mut limits = StoredJointLimiter::builder(store, OnFailure::Refuse).clock(clock);
    let burst = limits.limit("burst", bucket("1/s", 5)).unwrap();
    let daily = limits.limit("daily", bucket("1/hour", 1)).unwrap();
    let rules =
        move |limits: &StoredJointLimiter<_>, _: &Request<()>| limits.on(burst, &()).on(daily, &());
    let layer = JointLayer::new(limits.build().unwrap(), rules).reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
    let policies = r#"ratelimit-policy: "burst";q=5;w=5, "daily";q=1;w=3600"#;
    let state = r#"ratelimit: "daily";r=0;t=3600, "burst";r=4;t=1"#;
    assert_eq!(call(&layer, "/").await, (200, vec![policies.to_owned(), state.to_owned()]));
    let (status, told) = call(&layer, "/").await;
    assert_eq!((status, &*told[0], &*told[1]), (429, "retry-after: 3600", policies));
    assert!(told[2].starts_with(r#"ratelimit: "daily";r=0;t=3600, "burst";r="#), "{told:?}");
}
