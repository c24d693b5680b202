//! How many records are read: no more than are asked about, whatever the table was when it was first asked.

use super::{limit, order, pool, quickest, store, take};
use crate::servers;
use deadpool_postgres::Pool;
use tokio_postgres::types::{ToSql, Type};
use tower_ratelimit::{
    Algorithm, LeakyBucket, Nanos, Rate, Strict,
    store::{Answer, Batch, PostgresStore, Store},
};

/// Some keys.
const KEYS: usize = 8;

async fn run(pool: &Pool, statements: &str) {
    pool.get().await.unwrap().batch_execute(statements).await.unwrap();
}

/// Asks about some keys.
async fn ask<A: Algorithm>(store: &impl Store<A>, algorithm: A, first: usize, now: Nanos) -> usize {
    let limit = limit("limit", algorithm);
    let key = |index: usize| (first + index).to_string();
    let orders = (0..KEYS).map(|index| order(&limit, key(index).as_bytes(), take(1))).collect();
    let answers = store.decide(Batch::new(orders).at(now)).await.unwrap();
    answers.iter().filter(|answer| Answer::is_granted(answer)).count()
}

/// How many records of a table are read for some keys, where there were this many when those who read made
/// their plans, and there are many more now.
async fn reads<A, S>(
    table: &str,
    algorithm: A,
    of: impl Fn(PostgresStore) -> S,
    small: usize,
) -> i64
where
    A: Algorithm + Clone,
    S: Store<A>,
{
    let table = &format!("{table}_{small}");
    drop(store(table).await);
    // Each counts what it reads.
    let pool = pool(&servers::postgres::url(), 1);
    let store = of(PostgresStore::new(pool.clone()).table(table).unwrap());
    let now = |second: u64| Nanos::new((1000 + second) * 1_000_000_000);
    let rows = |first: usize, last: usize| {
        format!(
            "INSERT INTO {table} SELECT 'limit', index::text::bytea, 'other', '{{}}', 0, '{{}}', 0, NULL
            FROM generate_series({first}, {last}) AS index;"
        )
    };
    let shrink = format!("TRUNCATE {table}; {} ANALYZE {table};", rows(1, small));
    run(&pool, &format!("ALTER TABLE {table} SET (autovacuum_enabled = off); {shrink}")).await;
    // Of all the ways that there are.
    for second in 0..3 + u64::from(quickest::MANY) {
        assert_eq!(ask(&store, algorithm.clone(), 1, now(second)).await, KEYS);
    }
    run(&pool, &rows(1000, 20_000)).await;
    run(&pool, "BEGIN").await;
    let before = read_so_far(&pool, table).await;
    assert_eq!(ask(&store, algorithm.clone(), 1, now(100)).await, KEYS);
    // Half of them are new.
    assert_eq!(ask(&store, algorithm, 1 + KEYS / 2, now(200)).await, KEYS);
    let reads = read_so_far(&pool, table).await - before;
    run(&pool, "ROLLBACK").await;
    reads
}

/// The records and the entries of the index that a connection has read and not yet told the server.
async fn read_so_far(pool: &Pool, table: &str) -> i64 {
    let query = "SELECT seq_tup_read + idx_tup_fetch + pg_stat_get_xact_tuples_returned($2::text::regclass) \
                 FROM pg_stat_xact_user_tables WHERE relname = $1";
    let index = format!("{table}_pkey");
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&table, Type::TEXT), (&index, Type::TEXT)];
    pool.get().await.unwrap().query_typed_one(query, &parameters).await.unwrap().get(0)
}

#[tokio::test]
async fn what_was_planned_for_a_small_table_does_not_read_a_large_one() {
    // Of 19,000. Each of two batches reads its keys, looks for them again to write them, and may have to go
    // another way.
    let most = 16 * KEYS as i64;
    let rate = Rate::per_second(1).unwrap();
    for small in 0..4 {
        let bucket = LeakyBucket::new(rate).capacity(50).unwrap();
        let quick = reads("plans_quick", bucket, |store| store, small).await;
        assert!(quick <= most, "{quick} records by a plan for {small}");
        let long = reads("plans_long", Strict::new(rate), |store| store, small).await;
        assert!(long <= most, "{long} records by a plan for {small}");
        let here = |store: PostgresStore| store.decided_here();
        let here = reads("plans_here", Strict::new(rate), here, small).await;
        assert!(here <= most, "{here} records by a plan for {small}");
    }
}
