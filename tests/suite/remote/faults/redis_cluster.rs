//! A cluster of Redis in trouble.

use super::super::load::{Answers, under_load};
use crate::servers::{cluster::Cluster, redis::unique};
use std::{error::Error, time::Duration};
use tower_ratelimit::{
    OnFailure, Quota, Reason, StoredLimiter,
    store::{RedisStore, Store},
};

/// A slot in use moves to another server, three times over, while calls come and go.
async fn slots_move(cluster: &Cluster, store: impl Store<Quota>) {
    under_load(store, Answers::Come, async |load| {
        let slot = cluster.slot_in_use().await;
        for _ in 0..3 {
            cluster.move_slot(&slot).await;
            load.goes_on().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_from_server_to_server() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    slots_move(&cluster, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_from_server_to_server_where_it_is_decided_here() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    slots_move(&cluster, store.optimistic()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_answers_nothing_for_a_while() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    under_load(store, Answers::Come, async |load| {
        let server = cluster.server_of(&cluster.slot_in_use().await).await;
        let frozen = server.freeze();
        load.fails().await;
        drop(frozen);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_is_away_takes_only_its_own_keys_with_it() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    let deadline = Duration::from_millis(500);
    let limiter = StoredLimiter::builder("api", store, Quota::new(100).unwrap(), OnFailure::Refuse)
        .deadline(deadline)
        .unwrap()
        .build()
        .unwrap();
    // All at the same time, so that they would travel together.
    let ask_all = async || {
        let calls = (0..60_u32).map(|key| {
            let key = limiter.key(&key);
            tokio::spawn(async move { key.try_acquire().await.map(drop) })
        });
        let mut away = 0;
        for call in calls.collect::<Vec<_>>() {
            if let Err(refusal) = call.await.unwrap() {
                assert_eq!(refusal.reason(), Reason::Unavailable, "{:?}", refusal.source());
                away += 1;
            }
        }
        away
    };
    assert_eq!(ask_all().await, 0);
    let kept = cluster.servers[0].ask::<Vec<String>>(&["KEYS", "*"]).await.len();
    assert!((1..60).contains(&kept), "{kept}");
    let frozen = cluster.servers[0].freeze();
    for _ in 0..3 {
        assert_eq!(ask_all().await, kept);
    }
    drop(frozen);
}
