//! This crate over a store of any kind.

use super::load::{CALLERS, MANY, Row};
use std::{future::ready, sync::Arc};
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, OnFailure, Rate, Reason, StoredBuilder, StoredLimiter,
    store::{Batch, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

pub const OURS: &str = "ours";
pub const UNBATCHED: &str = "ours, without batching";
pub const REFUSED: &str = "ours, refused";
pub const REMEMBERED: &str = "ours, refused, remembered";
pub const IN_MEMORY: &str = "ours in memory, refused";

/// A permit a second, and a burst that outlasts the run: what is remembered of a key matters for as
/// long as anybody asks about it.
fn endless() -> LeakyBucket {
    let rate = Rate::per_second(1).expect("a second each");
    LeakyBucket::new(rate).capacity(3_000_000_000).expect("it leaks empty within 100 years")
}

/// A limiter, as a service has it.
pub fn limiter(keys: u64, callers: u64, store: &impl Store<LeakyBucket>) -> Row {
    let limiter = built(builder("ours", store, endless()));
    Row::new(OURS, keys, callers, move |key| {
        let limit = limiter.key(&key);
        async move {
            limit.try_acquire().await.expect("there are permits");
        }
    })
}

/// Calls of which each key lets one pass: the same without memory of that and with it, and without a store.
pub fn refused(store: &impl Store<LeakyBucket>) -> [Row; 3] {
    let remembering = builder("remembering", store, used_up()).remember_refused(10_000);
    let in_memory = KeyedRateLimiter::new(used_up());
    let in_memory = Row::new(IN_MEMORY, MANY, CALLERS, move |key| {
        drop(in_memory.key(&key).try_acquire());
        ready(())
    });
    let remembering = built(remembering.expect("not zero"));
    let asking = built(builder("refused", store, used_up()));
    [refused_by(REFUSED, asking), refused_by(REMEMBERED, remembering), in_memory]
}

fn refused_by(
    name: &'static str,
    limiter: StoredLimiter<LeakyBucket, impl Store<LeakyBucket>>,
) -> Row {
    Row::new(name, MANY, CALLERS, move |key| {
        let limit = limiter.key(&key);
        async move {
            // The first call of each key passes.
            if let Err(refusal) = limit.try_acquire().await {
                assert_eq!(refusal.reason(), Reason::UsedUp);
            }
        }
    })
}

/// Used up by one call, for the rest of the run.
fn used_up() -> LeakyBucket {
    LeakyBucket::new(Rate::per_day(1).expect("a day each")).capacity(1).expect("one")
}

fn builder<S: Store<LeakyBucket>>(
    name: &'static str,
    store: &S,
    bucket: LeakyBucket,
) -> StoredBuilder<LeakyBucket, S> {
    StoredLimiter::builder(name, store.clone(), bucket, OnFailure::Refuse)
}

fn built<S: Store<LeakyBucket>>(
    builder: StoredBuilder<LeakyBucket, S>,
) -> StoredLimiter<LeakyBucket, S> {
    builder.build().expect("the store keeps to a bucket")
}

/// The store itself, one order a batch, with nothing before it.
#[derive(Clone)]
pub struct Unbatched<S> {
    store: S,
    limit: Arc<StoredLimit<LeakyBucket>>,
}

impl<S: Store<LeakyBucket>> Unbatched<S> {
    pub fn new(store: &S) -> Self {
        let limit = StoredLimit { name: "unbatched".into(), algorithm: endless() };
        Self { store: store.clone(), limit: Arc::new(limit) }
    }

    pub fn row(self, keys: u64, callers: u64) -> Row {
        Row::new(UNBATCHED, keys, callers, move |key| self.clone().decide(key))
    }

    pub async fn decide(self, key: u64) {
        let ask = StoreAsk::Reserve { cost: 1, max_wait: Default::default() };
        let (limit, key) = (self.limit, StoreKey::new(&key));
        let order = Order { limit, key, ask, is_with_previous: false };
        let answers = self.store.decide(Batch::new(vec![order])).await;
        assert!(answers.expect("the store answers")[0].is_granted());
    }
}
