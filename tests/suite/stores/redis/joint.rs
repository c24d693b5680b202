//! Several limits taken together on a cluster.

use crate::servers::{cluster::Cluster, redis::unique};
use std::error::Error;
use tokio::task::JoinSet;
use tower_ratelimit::{
    AnyAlgorithm, LimitId, OnFailure, Reason, StoredJointLimiter,
    store::{AcrossSlots, RedisStore, Store},
};

fn two<S: Store<AnyAlgorithm>>(
    store: S,
    a: &str,
    b: &str,
) -> (StoredJointLimiter<S>, LimitId, LimitId) {
    // Whatever fails is seen: a call that is let through without the store takes nothing.
    let mut limits = StoredJointLimiter::builder(store, OnFailure::Refuse);
    let a = limits.limit("a", a.parse::<AnyAlgorithm>().unwrap()).unwrap();
    let b = limits.limit("b", b.parse::<AnyAlgorithm>().unwrap()).unwrap();
    (limits.build().unwrap(), a, b)
}

async fn left<S: Store<AnyAlgorithm>>(
    limiter: &StoredJointLimiter<S>,
    limit: LimitId,
    key: u64,
) -> u32 {
    limiter.on_many(limit, &key, 0).peek().await.unwrap().decision().remaining
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_keys_of_one_tag_are_taken_together_and_others_fail_alone() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    let (limiter, per_user, per_tenant) = two(store, "quota 3", "quota 100");
    let mut calls = JoinSet::new();
    for caller in 0..40_u64 {
        let (limiter, tenant) = (limiter.clone(), caller % 4);
        calls.spawn(async move {
            let call = match caller < 20 {
                true => limiter.tagged(&tenant).on(per_user, &caller).on(per_tenant, &()),
                false => limiter.on(per_user, &caller).on(per_tenant, &tenant),
            };
            let mut admitted = 0;
            for _ in 0..5 {
                match call.try_acquire().await {
                    Ok(_) => admitted += 1,
                    Err(refusal) if caller < 20 => {
                        assert_eq!(refusal.reason(), Reason::Exhausted, "{refusal:?}");
                    }
                    Err(refusal) => {
                        assert_eq!(refusal.reason(), Reason::NotTogether);
                        let store_error = refusal.source().unwrap();
                        assert!(store_error.source().unwrap().is::<AcrossSlots>());
                    }
                }
            }
            (caller, admitted)
        });
    }
    while let Some(call) = calls.join_next().await {
        let (caller, admitted) = call.unwrap();
        assert_eq!(admitted, if caller < 20 { 3 } else { 0 }, "{caller}");
    }
    for tenant in 0..4_u64 {
        let tagged = limiter.tagged(&tenant).on_many(per_tenant, &(), 0).peek().await.unwrap();
        assert_eq!(tagged.decision().remaining, 85);
        assert_eq!(left(&limiter, per_tenant, tenant).await, 100, "nothing was taken");
    }
}

#[tokio::test]
async fn the_records_of_one_tag_lie_in_one_slot() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    let (limiter, a, b) = two(store, "quota 3", "quota 100");
    for key in 0..30_u64 {
        limiter.tagged("{odd}: tag").on(a, &key).on(b, &()).try_acquire().await.unwrap();
    }
    let mut slots = std::collections::BTreeSet::new();
    for server in &cluster.servers {
        let names: Vec<String> = server.ask(&["KEYS", "*"]).await;
        for name in names {
            slots.insert(server.ask::<u16>(&["CLUSTER", "KEYSLOT", &name]).await);
        }
    }
    assert_eq!(slots.len(), 1, "{slots:?}");
}
