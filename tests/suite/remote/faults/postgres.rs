//! Postgres in trouble.

use super::super::{
    load::{Answers, under_load},
    opened::{made, pool, postgres},
    until,
};
use crate::servers::{
    self,
    postgres::Postgres,
    proxy::{self, Cut, Proxy},
};
use deadpool_postgres::{Manager, Pool};
use tokio_postgres::NoTls;
use tower_ratelimit::{
    Quota,
    store::{PostgresStore, Store},
};

const CUTS: [Cut; 3] = [Cut::BeforeRequest, Cut::BeforeReply, Cut::InReply];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_killed_and_comes_back_with_all_that_was_granted() {
    let mut server = Postgres::start();
    under_load(postgres(&server.url()).await, Answers::MayBeLost, async |load| {
        server.crash();
        load.fails().await;
        server.restart();
    })
    .await;
}

/// A store in a table of this name that is not logged.
async fn unlogged(pool: Pool, table: &str) -> PostgresStore {
    let store = PostgresStore::new(pool).table(table).unwrap();
    store.create_tables().await.unwrap();
    store
}

/// The server is stopped in order, and started again, while this store is in use.
async fn stopped(server: &mut Postgres, store: impl Store<Quota>) {
    under_load(store, Answers::Come, async |load| {
        server.stop();
        load.fails().await;
        server.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_in_order_counts_what_was_granted_and_nothing_else() {
    let mut server = Postgres::start();
    let pool = pool(&server.url(), 8);
    let store = unlogged(pool.clone(), "limits").await;
    stopped(&mut server, store).await;
    let here = unlogged(pool, "limits_here").await.decided_here();
    stopped(&mut server, here).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_lets_nobody_in_and_stops_when_all_have_left() {
    let mut server = Postgres::start();
    let pool = pool(&server.url(), 8);
    under_load(unlogged(pool.clone(), "limits").await, Answers::Come, async |load| {
        server.close();
        // Those who are connected go on.
        load.goes_on().await;
        until("all have left", async || {
            pool.retain(|_, _| false);
            !server.runs()
        })
        .await;
        load.fails().await;
        server.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_answers_nothing_for_a_while() {
    let server = Postgres::start();
    under_load(postgres(&server.url()).await, Answers::Come, async |load| {
        let frozen = server.freeze();
        load.fails().await;
        drop(frozen);
    })
    .await;
}

/// Cuts connections while the store made of this one is in use.
async fn cut<S: Store<Quota>>(of: impl FnOnce(PostgresStore) -> S) {
    let server = Postgres::start();
    let proxy = Proxy::start(proxy::Server::Socket(server.socket())).await;
    let url = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", proxy.port);
    under_load(of(postgres(&url).await), Answers::MayBeLost, async |load| {
        for cut in CUTS.repeat(3) {
            proxy.cut(cut).await;
            load.goes_on().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_wherever_a_call_is() {
    cut(|store| store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_wherever_a_call_is_that_is_decided_here() {
    cut(|store| store.decided_here()).await;
}

/// Others have all connections of this pool for a while.
async fn exhausted(pool: Pool, table: &str) {
    let store = made(pool.clone(), table).await;
    under_load(store, Answers::Come, async |load| {
        let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
        load.fails().await;
        drop(held);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_has_no_connection_for_a_while() {
    exhausted(pool(&servers::postgres::url(), 2), "remote_exhausted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_has_no_connection_for_longer_than_the_deadline() {
    let manager = Manager::new(servers::postgres::url().parse().unwrap(), NoTls);
    exhausted(Pool::builder(manager).max_size(2).build().unwrap(), "remote_patient").await;
}

/// Others have a lock on all records for a while.
async fn locked(table: &str, options: &str) {
    let url = format!("{} {options}", servers::postgres::url());
    let store = made(pool(&url, 4), table).await;
    under_load(store, Answers::Come, async |load| {
        let other = pool(&servers::postgres::url(), 1).get().await.unwrap();
        other.batch_execute(&format!("BEGIN; SELECT FROM {table} FOR UPDATE")).await.unwrap();
        load.fails().await;
        other.batch_execute("COMMIT").await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_times_out_in_the_server() {
    locked("remote_timed_out", "options='-c statement_timeout=100'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_waits_for_longer_than_the_deadline() {
    locked("remote_locked", "").await;
}
