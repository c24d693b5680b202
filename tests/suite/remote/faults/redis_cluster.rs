//! A cluster of Redis whose slots move, or whose connections break.

use super::super::{
    line::in_line,
    load::{Answers, Load, under_load},
    opened::{redis_by, redis_on},
    until,
};
use crate::servers::{
    cluster::Cluster,
    proxy::{self, Cut, Proxy},
};

/// A slot in use moves to another server, three times over, while calls come and go.
async fn slots_move(cluster: &Cluster, load: &Load) {
    let slot = cluster.slot_in_use().await;
    for _ in 0..3 {
        cluster.move_slot(&slot).await;
        load.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_from_server_to_server() {
    let cluster = Cluster::start().await;
    let store = redis_on(&cluster).await;
    under_load(store, Answers::Come, async |load| slots_move(&cluster, load).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_from_server_to_server_where_it_is_decided_here() {
    let cluster = Cluster::start().await;
    let store = redis_on(&cluster).await.optimistic();
    under_load(store, Answers::Come, async |load| slots_move(&cluster, load).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_from_server_to_server_while_callers_wait_for_their_turns() {
    let cluster = Cluster::start().await;
    in_line(redis_on(&cluster).await, async |load| slots_move(&cluster, load).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_forgotten_anywhere_are_not_noticed() {
    let cluster = Cluster::start().await;
    under_load(redis_on(&cluster).await, Answers::Come, async |load| {
        for _ in 0..5 {
            // By one after the other, and in the end by all.
            for server in &cluster.servers {
                let () = server.ask(&["SCRIPT", "FLUSH"]).await;
                load.goes_on().await;
            }
        }
        for server in &cluster.servers {
            let () = server.ask(&["SCRIPT", "FLUSH"]).await;
        }
        load.goes_on().await;
        assert_eq!(load.lost(), 0);
    })
    .await;
}

/// Cuts connections wherever calls are, and between calls.
async fn cut_connections(cluster: &Cluster, proxies: &[Proxy], load: &Load) {
    let place = cluster.place_of(&cluster.slot_in_use().await).await;
    for _ in 0..2 {
        for cut in [Cut::BeforeRequest, Cut::BeforeReply, Cut::InReply] {
            proxies[place].cut(cut).await;
            load.goes_on().await;
        }
        for (proxy, server) in proxies.iter().zip(&cluster.servers) {
            proxy.lead_to(proxy::Server::Port(server.port()));
        }
        load.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_server_of_a_cluster_is_cut_wherever_a_call_is() {
    let cluster = Cluster::start().await;
    let (proxies, client) = cluster.by_proxies().await;
    let store = redis_by(client).await;
    // Connections to clusters ask again.
    under_load(store, Answers::MayBeRepeated, async |load| {
        cut_connections(&cluster, &proxies, load).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_server_of_a_cluster_is_cut_while_callers_wait_for_their_turns() {
    let cluster = Cluster::start().await;
    let (proxies, client) = cluster.by_proxies().await;
    let store = redis_by(client).await;
    in_line(store, async |load| cut_connections(&cluster, &proxies, load).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_a_cluster_that_answers_nothing_is_made_anew() {
    let cluster = Cluster::start().await;
    let (proxies, client) = cluster.by_proxies().await;
    under_load(redis_by(client).await, Answers::MayBeLost, async |load| {
        for _ in 0..2 {
            let before = load.lost();
            proxies.iter().for_each(Proxy::stall);
            until("some get no answer", async || load.lost() > before).await;
            load.goes_on().await;
        }
    })
    .await;
}
