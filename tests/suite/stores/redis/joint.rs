//! Several limits taken together, on a server and on a cluster.

use crate::servers::{
    cluster::Cluster,
    redis::{Server, unique},
};
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
async fn of_many_who_ask_at_once_exactly_as_many_pass_as_the_limits_allow() {
    let server = Server::start().await;
    let namespace = unique();
    let mut limiters = Vec::new();
    for _ in 0..2 {
        let store = RedisStore::new(server.connect().await).namespace(namespace.clone());
        limiters.push(two(store, "quota 50", "quota 120"));
    }
    let mut calls = JoinSet::new();
    for caller in 0..16_u64 {
        let (limiter, per_user, over_all) = limiters[caller as usize % 2].clone();
        calls.spawn(async move {
            let call = limiter.on(per_user, &(caller % 4)).on(over_all, &0_u64);
            let mut admitted = 0;
            for turn in 0.. {
                // Some give up on the way, and some change their minds.
                let mut asks = Box::pin(call.try_acquire());
                if turn % 5 == 0 {
                    drop(tokio_test::task::spawn(&mut asks).poll());
                    continue;
                }
                match asks.await {
                    Ok(permit) if turn % 3 == 0 => permit.refund(),
                    Ok(_) => admitted += 1,
                    Err(_) if turn > 60 => break,
                    Err(_) => {}
                }
            }
            (caller % 4, admitted)
        });
    }
    let mut admitted = [0; 4];
    while let Some(call) = calls.join_next().await {
        let (user, calls) = call.unwrap();
        admitted[usize::try_from(user).unwrap()] += calls;
    }
    // What was given up goes back by and by: then as many are left as were not used.
    let (limiter, per_user, over_all) = &limiters[0];
    let all = admitted.iter().sum::<u32>();
    assert!(all > 0 && all <= 120, "{admitted:?}");
    until(async || left(limiter, *over_all, 0).await == 120 - all).await;
    for (user, calls) in (0..).zip(admitted) {
        until(async || left(limiter, *per_user, user).await == 50 - calls).await;
    }
}

/// Waits until it is so, and fails when it does not come to be.
async fn until(is_so: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it does not come to be");
}

#[tokio::test]
async fn a_call_waits_for_all_limits_and_is_refused_by_the_binding_one() {
    let server = Server::start().await;
    let store = RedisStore::new(server.connect().await).namespace(unique());
    let (limiter, a, b) =
        two(store, "leaky bucket 1/10ms, capacity 1", "leaky bucket 1/50ms, capacity 1");
    let call = limiter.on(a, "alice").on(b, &());
    for _ in 0..4 {
        call.acquire().await.unwrap();
    }
    let (limiter, a, b) = {
        let store = RedisStore::new(server.connect().await).namespace(unique());
        two(store, "leaky bucket 1/h, capacity 1", "leaky bucket 1/day, capacity 1")
    };
    let call = limiter.on(a, "alice").on(b, &());
    call.try_acquire().await.unwrap();
    let refusal = call.try_acquire().await.unwrap_err();
    assert_eq!((refusal.limit(), refusal.reason()), (Some("b"), Reason::UsedUp));
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
