//! The conformance kit over the real stores: any algorithm where the database has an arithmetic of its own, and
//! some where it is that of the other stores.

use super::opened::{postgres, redis};
use crate::servers::{
    self,
    cluster::Cluster,
    folder::Folder,
    redis::{Server, unique},
};
use std::{collections::HashMap, sync::Arc};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Concurrency, Invalid, SlidingWindow, TokenBucket,
    conformance::{self, Sampled},
    store::{Answer, Batch, RedisStore, SqliteStore, Store, StoreError, StoreKey, StoredLimit},
};

/// A store on a cluster that keeps all records in one slot, as the contract has groups of any keys: the name of
/// the limit says for which key it is.
#[derive(Clone)]
struct OneSlot<S>(S);

impl<A: Algorithm + Clone, S: Store<A>> Store<A> for OneSlot<S> {
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        let mut limits = HashMap::new();
        let mut orders = batch.orders().to_vec();
        for order in &mut orders {
            let limit = &order.limit;
            let of_key =
                limits.entry((Arc::as_ptr(limit).addr(), order.key.clone())).or_insert_with(|| {
                    let name = format!("{} {:?}", limit.name, order.key.bytes()).into();
                    Arc::new(StoredLimit { name, algorithm: limit.algorithm.clone() })
                });
            order.limit = Arc::clone(of_key);
            order.key = StoreKey::new("all");
        }
        let batch = match batch.now() {
            Some(now) => Batch::new(orders).at(now),
            None => Batch::new(orders),
        };
        self.0.decide(batch).await
    }

    fn keep_to(&self, algorithm: A) -> Result<A, Invalid> {
        self.0.keep_to(algorithm)
    }

    fn batches_at_once(&self) -> usize {
        self.0.batches_at_once()
    }
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_redis_keeps_the_contract() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    keeps_its_contract::<SlidingWindow>(OneSlot(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_redis_keeps_the_contract_where_it_is_decided_here() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique());
    keeps_its_contract::<TokenBucket>(OneSlot(store.optimistic())).await;
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
