//! The conformance kit over the real stores: any algorithm where the database has an arithmetic of its own, and
//! some where it is that of the other stores.

use super::opened::{postgres, redis, redis_on};
use crate::servers::{self, cluster::Cluster, folder::Folder, redis::Server};
use tower_ratelimit::{
    AnyAlgorithm, Concurrency, LeakyBucket, SlidingWindow, TokenBucket,
    conformance::{self, Sampled},
    store::{SqliteStore, Store},
};

/// Any handle of this store.
async fn keeps_its_contract<A: Sampled>(store: impl Store<A>) {
    let looked = conformance::store::<A, _>(|| store.clone()).await;
    looked.unwrap_or_else(|violation| panic!("{violation}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_sqlite_keeps_the_contract() {
    let folder = Folder::new();
    let looked =
        conformance::store::<AnyAlgorithm, _>(|| SqliteStore::open(folder.file()).unwrap()).await;
    looked.unwrap_or_else(|violation| panic!("{violation}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract() {
    keeps_its_contract::<AnyAlgorithm>(redis(&Server::start().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract_where_it_is_decided_here() {
    let server = Server::start().await;
    let store = redis(&server).await.optimistic();
    keeps_its_contract::<SlidingWindow>(store.clone()).await;
    keeps_its_contract::<Concurrency>(store).await;
}

/// Whether records were written all over the cluster.
async fn is_used_everywhere(cluster: &Cluster) {
    for server in &cluster.servers {
        let records: u64 = server.ask(&["DBSIZE"]).await;
        assert!(records > 100, "{records} records on one of the servers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_redis_keeps_the_contract() {
    let cluster = Cluster::start().await;
    // The scripts are those of one server: what differs is where they are sent.
    keeps_its_contract::<LeakyBucket>(redis_on(&cluster).await).await;
    keeps_its_contract::<SlidingWindow>(redis_on(&cluster).await).await;
    is_used_everywhere(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_redis_keeps_the_contract_where_it_is_decided_here() {
    let cluster = Cluster::start().await;
    keeps_its_contract::<TokenBucket>(redis_on(&cluster).await.optimistic()).await;
    is_used_everywhere(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract() {
    keeps_its_contract::<AnyAlgorithm>(postgres(&servers::postgres::url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract_where_it_is_decided_here() {
    let store = postgres(&servers::postgres::url()).await.decided_here();
    keeps_its_contract::<SlidingWindow>(store.clone()).await;
    keeps_its_contract::<Concurrency>(store).await;
}
