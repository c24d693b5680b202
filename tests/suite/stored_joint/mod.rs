//! Several limits that a store keeps, taken together or not at all.

mod taking;
mod waiting;
mod giving_back;
mod failing;
mod apart;
mod control;
#[cfg(all(feature = "sqlite", feature = "redis", feature = "postgres"))]
mod everywhere;

use crate::stored::Slow;
use tower_ratelimit::{
    AnyAlgorithm, LimitId, OnFailure, StoredJointBuilder, StoredJointLimiter, store,
};

type Store = Slow<AnyAlgorithm>;
type Limiter = StoredJointLimiter<Store>;

fn builder(store: &Store) -> StoredJointBuilder<Store> {
    StoredJointLimiter::builder(store.clone(), OnFailure::Refuse)
}

/// Limits `a` and `b` by these lines.
fn two<S: store::Store<AnyAlgorithm>>(
    mut limits: StoredJointBuilder<S>,
    a: &str,
    b: &str,
) -> (StoredJointLimiter<S>, LimitId, LimitId) {
    let any = |line: &str| line.parse::<AnyAlgorithm>().unwrap();
    let a = limits.limit("a", any(a)).unwrap();
    let b = limits.limit("b", any(b)).unwrap();
    (limits.build().unwrap(), a, b)
}

/// How many permits of a key are left.
async fn left<S: store::Store<AnyAlgorithm>>(
    limiter: &StoredJointLimiter<S>,
    limit: LimitId,
    key: &str,
) -> u32 {
    limiter.on_many(limit, key, 0).peek().await.unwrap().decision().remaining
}
