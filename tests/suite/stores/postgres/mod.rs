//! The store in Postgres, against a real server.

use crate::servers;
use deadpool_postgres::{Client, Manager, Pool, Runtime};
use std::{sync::Arc, time::Duration};
use tokio_postgres::{NoTls, types::Type};
use tower_ratelimit::{
    Algorithm, Ask, Nanos, Take,
    store::{Answer, Batch, Order, PostgresStore, Store, StoreAsk, StoreKey, StoredLimit},
};

mod agreement;
mod many;
mod plans;
mod pooled;
mod quickest;
mod table;
mod trouble;

/// A pool of this many connections to this server.
fn pool(url: &str, connections: usize) -> Pool {
    let manager = Manager::new(url.parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(connections).runtime(Runtime::Tokio1);
    pool.wait_timeout(Some(Duration::from_secs(10))).build().unwrap()
}

/// A store in an empty table of this name.
pub(crate) async fn store(table: &str) -> PostgresStore {
    store_of(&servers::postgres::url(), table).await
}

async fn store_of(url: &str, table: &str) -> PostgresStore {
    let pool = pool(url, 8);
    let drop_table = format!("DROP TABLE IF EXISTS {table} CASCADE");
    pool.get().await.unwrap().batch_execute(&drop_table).await.unwrap();
    let store = PostgresStore::new(pool).table(table).unwrap();
    store.create_tables().await.unwrap();
    store
}

fn limit<A: Algorithm>(name: &str, algorithm: A) -> Arc<StoredLimit<A>> {
    Arc::new(StoredLimit { name: name.into(), algorithm })
}

fn order<A>(limit: &Arc<StoredLimit<A>>, key: &[u8], ask: StoreAsk) -> Order<A> {
    let (limit, key) = (Arc::clone(limit), StoreKey::new(key));
    Order { limit, key, ask, is_with_previous: false }
}

fn take(cost: u32) -> StoreAsk {
    StoreAsk::Ask(Ask::Take(Take::fresh(cost)))
}

/// One order, decided now.
async fn ask<A: Algorithm>(store: &impl Store<A>, order: Order<A>) -> Answer {
    store.decide(Batch::new(vec![order])).await.unwrap()[0]
}

/// Has what equals new at this instant forgotten, and says how many that was.
async fn forget(client: &Client, table: &str, now: Nanos) -> i64 {
    let query = format!("SELECT ({table}_forget($1, '', '', 10000)).forgotten");
    let microseconds = (now.get() / 1000) as i64;
    client.query_typed_one(&query, &[(&microseconds, Type::INT8)]).await.unwrap().get(0)
}
