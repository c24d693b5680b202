//! Keys all over the slots of a cluster.

use super::{limit, order, take};
use crate::servers::{cluster::Cluster, redis::unique};
use redis::cluster_async::ClusterConnection;
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};
use tower_ratelimit::{
    AnyAlgorithm,
    store::{AcrossSlots, Batch, Order, RedisStore, Store},
};

async fn store(cluster: &Cluster) -> RedisStore<ClusterConnection> {
    RedisStore::on_cluster(cluster.connect().await).namespace(unique())
}

/// A group that takes one permit of each.
fn together(orders: Vec<Order<AnyAlgorithm>>) -> Vec<Order<AnyAlgorithm>> {
    let orders = orders.into_iter().enumerate();
    orders.map(|(index, order)| Order { is_with_previous: index > 0, ..order }).collect()
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_orders_wherever_the_keys_are() {
    let cluster = Cluster::start().await;
    let store = store(&cluster).await;
    let quotas = [1, 2, 3].map(|permits| limit("limit", &format!("quota {permits}")));
    let keys: Vec<String> = (0..200).map(|key| format!("key {key}")).collect();
    // Each key in turn, three times: the limit of a key tells whose answer it is.
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.extend(
            keys.iter().enumerate().map(|(index, key)| order(&quotas[index % 3], key, take(1))),
        );
    }
    let answers = store.decide(Batch::new(orders)).await.unwrap();
    for (place, answer) in answers.iter().enumerate() {
        let (round, index) = (place / keys.len(), place % keys.len());
        assert_eq!(answer.decision.limit as usize, index % 3 + 1);
        assert_eq!(answer.is_granted(), round <= index % 3, "{place}");
    }
    for server in &cluster.servers {
        let records: u64 = server.ask(&["DBSIZE"]).await;
        assert!(records > 30, "{records} of 200 records");
    }
}

#[tokio::test]
async fn limits_on_one_key_are_taken_together_and_those_in_other_slots_are_an_error() {
    let cluster = Cluster::start().await;
    let store = store(&cluster).await;
    let [few, many] = [limit("few", "quota 1"), limit("many", "quota 9")];
    let both = |key| together(vec![order(&few, key, take(1)), order(&many, key, take(1))]);
    let remaining = async |orders| {
        let answers = store.decide(Batch::new(orders)).await.unwrap();
        answers.iter().map(|answer| answer.decision.remaining).collect::<Vec<_>>()
    };
    for key in ["a", "", "{", "}"] {
        assert_eq!(remaining(both(key)).await, [0, 8], "{key:?}");
        let answers = store.decide(Batch::new(both(key))).await.unwrap();
        assert!(!answers[0].is_granted());
        let left = vec![order(&few, key, take(0)), order(&many, key, take(0))];
        assert_eq!(remaining(left).await, [0, 8], "{key:?}: nothing was taken, as one is refused");
    }
    let orders = together(vec![order(&many, "b", take(1)), order(&many, "c", take(1))]);
    let error = store.decide(Batch::new(orders)).await.unwrap_err();
    assert!(error.source().unwrap().is::<AcrossSlots>(), "{error:?}");
    assert_eq!(remaining(vec![order(&many, "b", take(0))]).await, [9], "nothing was taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_not_noticed() {
    const PERMITS: u32 = 1_000_000;
    let cluster = Cluster::start().await;
    let store = store(&cluster).await;
    let [one, other] = ["one", "other"].map(|name| limit(name, &format!("quota {PERMITS}")));
    let (rounds, is_over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let calls = tokio::spawn({
        let (rounds, is_over) = (Arc::clone(&rounds), Arc::clone(&is_over));
        async move {
            let decide = async |orders| store.decide(Batch::new(orders)).await.unwrap();
            while !is_over.load(SeqCst) {
                assert!(decide(vec![order(&one, "key", take(1))]).await[0].is_granted());
                let both =
                    together(vec![order(&one, "key", take(1)), order(&other, "key", take(1))]);
                assert!(decide(both).await[0].is_granted());
                rounds.fetch_add(1, SeqCst);
            }
            let left = vec![order(&one, "key", take(0)), order(&other, "key", take(0))];
            let left = decide(left).await;
            [left[0].decision.remaining, left[1].decision.remaining]
        }
    });
    let slot = cluster.slot_in_use().await;
    // From server to server, in the middle of the calls.
    let before = rounds.load(SeqCst);
    for _ in 0..3 {
        cluster.move_slot(&slot).await;
    }
    let meanwhile = rounds.load(SeqCst) - before;
    is_over.store(true, SeqCst);
    let left = calls.await.unwrap();
    let rounds = rounds.load(SeqCst);
    assert_eq!(left, [PERMITS - 2 * rounds, PERMITS - rounds]);
    assert!(meanwhile > 0, "nobody called while the slot moved");
}
