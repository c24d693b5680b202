//! This crate over a store of any kind.

use super::load::Row;
use std::sync::Arc;
use tower_ratelimit::{
    LeakyBucket, OnFailure, Rate, StoredLimiter,
    store::{Batch, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

pub const OURS: &str = "ours";
pub const UNBATCHED: &str = "ours, without batching";

/// A permit a second, and a burst that outlasts the run: what is remembered of a key matters for as
/// long as anybody asks about it.
pub fn endless() -> LeakyBucket {
    let rate = Rate::per_second(1).expect("a second each");
    LeakyBucket::new(rate).capacity(3_000_000_000).expect("it leaks empty within 100 years")
}

/// A limiter, as a service has it.
pub fn limiter(keys: u64, callers: u64, store: &impl Store<LeakyBucket>) -> Row {
    let limiter = StoredLimiter::builder("ours", store.clone(), endless(), OnFailure::Refuse);
    let limiter = limiter.build().expect("the store keeps to a bucket");
    Row::new(OURS, keys, callers, move |key| {
        let limit = limiter.key(&key);
        async move {
            limit.try_acquire().await.expect("there are permits");
        }
    })
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
