//! When the server is away, or busy.

use super::{ask, limit, order, pool, store, store_of, take};
use crate::servers::{self, postgres::Postgres};
use deadpool_postgres::{Manager, Pool, Runtime};
use std::{error::Error, future::poll_fn, pin::pin, task::Poll, time::Duration};
use tokio_postgres::NoTls;
use tokio_test::assert_pending;
use tower_ratelimit::{
    OnFailure, Quota, StoredLimiter,
    store::{Batch, PostgresStore, Store, StoreError},
};

fn quota() -> Quota {
    Quota::new(5).unwrap()
}

fn cause(error: &StoreError) -> String {
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn a_server_that_was_restarted_answers_again() {
    let mut server = Postgres::start();
    let store = store_of(&server.url(), "limits").await;
    let limit = limit("quota", quota());
    assert!(ask(&store, order(&limit, b"a", take(5))).await.is_granted());
    server.crash();
    for _ in 0..3 {
        let batch = Batch::new(vec![order(&limit, b"a", take(1))]);
        store.decide(batch).await.expect_err("nobody is there");
    }
    server.restart();
    // The table is there, and empty, as it is not logged.
    assert!(ask(&store, order(&limit, b"a", take(5))).await.is_granted());
    assert!(!ask(&store, order(&limit, b"a", take(1))).await.is_granted());
}

#[tokio::test]
async fn a_pool_without_a_connection_is_an_error_after_its_time_out() {
    let manager = Manager::new(servers::postgres::url().parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(1).runtime(Runtime::Tokio1);
    let pool = pool.wait_timeout(Some(Duration::from_millis(20))).build().unwrap();
    let store = PostgresStore::new(pool.clone()).table("exhausted").unwrap();
    store.create_tables().await.unwrap();
    let held = pool.get().await.unwrap();
    let limit = limit("quota", quota());
    let orders = || Batch::new(vec![order(&limit, b"a", take(0))]);
    store.decide(orders()).await.expect_err("there is no connection");
    drop(held);
    assert!(store.decide(orders()).await.unwrap()[0].is_granted());
}

#[tokio::test]
async fn a_clean_up_that_finds_no_connection_keeps_nobody_waiting() {
    let pool = pool(&servers::postgres::url(), 1);
    store("put_off").await;
    let store = PostgresStore::new(pool.clone()).table("put_off").unwrap();
    let limit = limit("quota", Quota::new(1000).unwrap());
    // So many that something is to be cleaned up.
    let orders = (0..200).map(|_| order(&limit, b"a", take(1))).collect();
    let (answered, answers) = tokio::sync::oneshot::channel();
    // The other one gets the connection as soon as the batch gives it back, and waits for the answers.
    let ((), answers) = tokio::join!(
        async { answered.send(store.decide(Batch::new(orders)).await.unwrap()).unwrap() },
        async {
            while pool.status().size == 0 {
                tokio::task::yield_now().await;
            }
            let _held = pool.get().await.unwrap();
            tokio::time::timeout(Duration::from_secs(5), answers).await.expect("they are there")
        },
    );
    assert!(answers.unwrap().iter().all(tower_ratelimit::store::Answer::is_granted));
}

#[tokio::test]
async fn a_table_that_nobody_has_made_is_an_error_that_says_so() {
    let store = PostgresStore::new(pool(&servers::postgres::url(), 1)).table("never_made").unwrap();
    let batch = Batch::new(vec![order(&limit("quota", quota()), b"a", take(1))]);
    let error = store.decide(batch).await.unwrap_err();
    let expected = "the table of the limits is not there: call `PostgresStore::create_tables`";
    assert_eq!(cause(&error), expected);
}

#[tokio::test]
async fn a_call_that_is_dropped_holds_up_nobody_and_is_decided_as_a_whole() {
    let limit = limit("quota", quota());
    store("dropped").await;
    let url = servers::postgres::url();
    // A store with one connection.
    let store = PostgresStore::new(pool(&url, 1)).table("dropped").unwrap();
    assert!(ask(&store, order(&limit, b"a", take(1))).await.is_granted());
    let other = pool(&url, 1).get().await.unwrap();
    other.batch_execute("BEGIN; SELECT FROM dropped FOR UPDATE").await.unwrap();
    {
        let mut stuck = pin!(store.decide(Batch::new(vec![order(&limit, b"a", take(1))])));
        // Until somebody waits for the lock.
        let watcher = pool(&url, 1).get().await.unwrap();
        let query = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        let is_stuck = async {
            loop {
                poll_fn(|context| {
                    assert!(stuck.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
                if watcher.query_typed_one(query, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                    break;
                }
            }
        };
        let is_stuck = tokio::time::timeout(Duration::from_secs(10), is_stuck).await;
        is_stuck.expect("the call comes to wait for the lock");
    }
    assert!(ask(&store, order(&limit, b"b", take(5))).await.is_granted());
    other.batch_execute("COMMIT").await.unwrap();
    let left = ask(&store, order(&limit, b"a", take(0))).await.decision.remaining;
    assert!((3..=4).contains(&left), "{left}");
}

/// A caller who was polled once keeps the only connection from nobody.
async fn is_not_kept<S: Store<Quota>>(of: impl FnOnce(PostgresStore) -> S, table: &str) {
    store(table).await;
    let store = of(PostgresStore::new(pool(&servers::postgres::url(), 1)).table(table).unwrap());
    let limiter = StoredLimiter::builder("quota", store, quota(), OnFailure::Refuse);
    let limiter = limiter.build().unwrap();
    for _ in 0..2 {
        // Once the connection has yet to be made, and once it is there.
        let limit = limiter.key("a");
        let mut kept = tokio_test::task::spawn(async move { limit.try_acquire().await.map(drop) });
        assert_pending!(kept.poll());
        limiter.key("b").try_acquire().await.unwrap();
        kept.await.unwrap();
    }
    assert_eq!(limiter.key("a").peek(0).await.unwrap().remaining, 3);
}

#[tokio::test]
async fn a_caller_that_is_not_polled_any_more_keeps_no_connection() {
    is_not_kept(|store| store, "unpolled").await;
    is_not_kept(|store| store.decided_here(), "unpolled_here").await;
}
