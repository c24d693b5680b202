//! A cluster of Redis in trouble.

use super::super::load::{Answers, under_load};
use crate::servers::{cluster::Cluster, redis::unique};
use tower_ratelimit::store::RedisStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_from_server_to_server() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
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
async fn a_slot_moves_from_server_to_server_where_it_is_decided_here() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    under_load(store.optimistic(), Answers::Come, async |load| {
        let slot = cluster.slot_in_use().await;
        for _ in 0..3 {
            cluster.move_slot(&slot).await;
            load.goes_on().await;
        }
    })
    .await;
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
