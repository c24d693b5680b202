//! Behind a pooler, where many clients take turns on few connections from one transaction to the next.

use super::{ask, limit, many, order, pool, store_of, take};
use crate::servers::pgbouncer::Pooler;
use deadpool_postgres::Client;
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use tower_ratelimit::{
    AnyAlgorithm, LeakyBucket, OnFailure, Quota, Rate, Reason, SlidingWindow, StoredJointLimiter,
    StoredLimiter,
    conformance::{self, Sampled},
    store::{PostgresStore, Store},
};

/// Clients of this pooler, each with a connection to it.
async fn clients(pooler: &Pooler) -> [Client; 4] {
    let pool = pool(&pooler.url(), 4);
    let (a, b, c, d) = tokio::join!(pool.get(), pool.get(), pool.get(), pool.get());
    [a, b, c, d].map(Result::unwrap)
}

/// The store in an empty table of this name as processes see it, each of which has connections of its own.
async fn processes(pooler: &Pooler, table: &str) -> [PostgresStore; 3] {
    let first = store_of(&pooler.url(), table).await;
    let other = || PostgresStore::new(pool(&pooler.url(), 8)).table(table).unwrap();
    [first, other(), other()]
}

#[tokio::test]
async fn clients_of_the_pooler_take_turns_on_its_connections() {
    let pooler = Pooler::start(2);
    let clients = clients(&pooler).await;
    let (one, other) = (&clients[0], &clients[1]);
    for client in [one, other] {
        client.batch_execute("BEGIN").await.unwrap();
    }
    for client in [one, other] {
        client.batch_execute("COMMIT").await.unwrap();
    }
    let mut servers = Vec::new();
    for client in clients.iter().chain(&clients) {
        let row = client.query_typed_one("SELECT pg_backend_pid()", &[]).await.unwrap();
        servers.push(row.get::<_, i32>(0));
    }
    assert_ne!(servers[0], servers[1]);
    assert!(servers.iter().zip(&servers[2..]).all(|(one, next)| one == next), "{servers:?}");
    // What a client has prepared is not there when it comes back.
    let missing = one.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(missing.code(), Some(&SqlState::INVALID_SQL_STATEMENT_NAME));
}

async fn keeps_its_contract<A: Sampled>(store: impl Store<A>) {
    let looked = conformance::store::<A, _>(|| store.clone()).await;
    looked.unwrap_or_else(|violation| panic!("{violation}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let pooler = Pooler::start(2);
    let store = store_of(&pooler.url(), "pooled_kit").await;
    // Buckets are decided in all ways there are.
    keeps_its_contract::<LeakyBucket>(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_where_it_is_decided_here() {
    let pooler = Pooler::start(2);
    let store = store_of(&pooler.url(), "pooled_kit_here").await.decided_here();
    keeps_its_contract::<SlidingWindow>(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_take_exactly_what_there_is() {
    for connections in [1, 2] {
        let pooler = Pooler::start(connections);
        let store = store_of(&pooler.url(), &format!("pooled_batches_{connections}")).await;
        many::take_exactly_what_there_is(&store).await;
        many::never_lock_each_other_out(&store).await;
        many::are_seen_as_a_whole(&store).await;
        many::take_each_permit_once(&store.decided_here()).await;
    }
}

/// Callers of several processes spend a limit, and one of several limits that are taken together.
async fn are_exact<S: Store<AnyAlgorithm>>(stores: [S; 3]) {
    let any = |permits| AnyAlgorithm::from(Quota::new(permits).unwrap());
    let mut calls = JoinSet::new();
    for store in &stores {
        let limiter = StoredLimiter::builder("alone", store.clone(), any(50), OnFailure::Refuse);
        let limiter = limiter.build().unwrap();
        let mut limits = StoredJointLimiter::builder(store.clone(), OnFailure::Refuse);
        let [all, each] = [("all", 70), ("each", 30)]
            .map(|(name, permits)| limits.limit(name, any(permits)).unwrap());
        let joint = limits.build().unwrap();
        for call in 0..40_u32 {
            let limit = limiter.key("a");
            calls.spawn(async move { ("alone", limit.try_acquire().await.map(drop)) });
            let name = ["one", "other"][call as usize % 2];
            let both = joint.on(all, &()).on(each, name);
            calls.spawn(async move { (name, both.try_acquire().await.map(drop)) });
        }
    }
    let mut granted = BTreeMap::new();
    for (name, called) in calls.join_all().await {
        match called {
            Ok(()) => *granted.entry(name).or_insert(0) += 1,
            Err(refusal) => assert_eq!(refusal.reason(), Reason::Exhausted, "{refusal:?}"),
        }
    }
    assert_eq!(granted, [("alone", 50), ("one", 30), ("other", 30)].into());
    // Those who were refused by the one took nothing of the other.
    let all = StoredLimiter::builder("all", stores[0].clone(), any(70), OnFailure::Refuse);
    let left = all.build().unwrap().key(&()).peek(0).await.unwrap().remaining;
    assert_eq!(left, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limiters_of_several_processes_take_exactly_what_there_is() {
    let pooler = Pooler::start(2);
    are_exact(processes(&pooler, "pooled_limiters").await).await;
    let here = processes(&pooler, "pooled_limiters_here").await.map(|store| store.decided_here());
    are_exact(here).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_is_made_and_tidied_up_while_limits_are_asked() {
    let pooler = Pooler::start(2);
    let stores = processes(&pooler, "pooled_made").await;
    let fast = LeakyBucket::new(Rate::per_second(1_000_000).unwrap()).capacity(1).unwrap();
    let fast = limit("fast", fast);
    let mut tasks = JoinSet::new();
    for (process, store) in stores.iter().cloned().enumerate() {
        let fast = Arc::clone(&fast);
        tasks.spawn(async move {
            store.create_tables().await.unwrap();
            // Fewer than are tidied up in passing.
            for key in 0..20 {
                let asked = order(&fast, &[process as u8, key], take(1));
                assert!(ask(&store, asked).await.is_granted());
            }
        });
    }
    tasks.join_all().await;
    // A microsecond after its call each of them equals a new one.
    assert_eq!(stores[0].forget_new().await.unwrap(), 60);
    assert_eq!(stores[1].forget_new().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_asked_leaves_nothing_on_a_connection() {
    let pooler = Pooler::start(1);
    let store = store_of(&pooler.url(), "pooled_traces").await;
    let (bucket, quota) = (Rate::per_hour(1).unwrap(), Quota::new(5).unwrap());
    let bucket = limit("bucket", LeakyBucket::new(bucket).capacity(50).unwrap());
    // Often enough for the quickest way.
    for _ in 0..40 {
        assert!(ask(&store, order(&bucket, b"a", take(1))).await.is_granted());
    }
    assert!(ask(&store, order(&limit("quota", quota), b"a", take(1))).await.is_granted());
    let here = store.decided_here();
    assert!(ask(&here, order(&limit("here", quota), b"a", take(1))).await.is_granted());
    store.forget_new().await.unwrap();
    let query = "SELECT (SELECT count(*) FROM pg_prepared_statements),
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
        (SELECT count(*) FROM pg_settings WHERE source = 'session' AND name <> 'application_name')";
    let row = clients(&pooler).await[0].query_typed_one(query, &[]).await.unwrap();
    let left: [i64; 3] = [0, 1, 2].map(|column: usize| row.get(column));
    assert_eq!(left, [0; 3]);
}
