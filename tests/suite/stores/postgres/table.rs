//! The table: how it is called, made and cleaned up, and what is written there.

use super::{super::changing, ask, forget, limit, order, pool, store, take};
use crate::servers;
use deadpool_postgres::Client;
use std::time::Duration;
use tokio_postgres::types::Type;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Concurrency, Grant, LeakyBucket, Nanos, Rate, SlidingWindow,
    Strict, Take,
    algorithm::Scripted,
    store::{Batch, Order, PostgresStore, Store, StoreAsk},
};

async fn client() -> Client {
    pool(&servers::postgres::url(), 1).get().await.unwrap()
}

#[test]
fn names_of_tables_that_need_quotes_are_typed_errors() {
    let named = |name: &str| PostgresStore::new(pool("host=/nowhere", 1)).table(name);
    let long = "x".repeat(33);
    let names = [
        "",
        ".",
        "a.",
        ".a",
        "a.b.c",
        "1a",
        "A",
        "a-b",
        "a b",
        "a\"b",
        "a'; DROP TABLE t",
        "ä",
        &long,
    ];
    for name in names {
        let invalid = named(name).unwrap_err();
        assert_eq!((invalid.parameter(), invalid.value()), ("table", &*format!("{name:?}")));
    }
    for name in ["a", "_1", "order", "public.user", &long[1..]] {
        named(name).unwrap();
    }
}

#[tokio::test]
async fn many_may_make_the_table_and_in_a_schema_of_its_own() {
    let client = client().await;
    let statements = "DROP SCHEMA IF EXISTS \"select\" CASCADE; CREATE SCHEMA \"select\"";
    client.batch_execute(statements).await.unwrap();
    let store =
        PostgresStore::new(pool(&servers::postgres::url(), 8)).table("select.order").unwrap();
    let tasks = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.create_tables().await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let limit = limit("strict", Strict::new(Rate::per_hour(1).unwrap()));
    assert!(ask(&store, order(&limit, b"a", take(1))).await.is_granted());
    // What is there stays.
    store.create_tables().await.unwrap();
    assert!(!ask(&store, order(&limit, b"a", take(1))).await.is_granted());
}

#[tokio::test]
async fn a_table_is_logged_on_request() {
    let store = store("unlogged").await;
    let client = client().await;
    client.batch_execute("DROP TABLE IF EXISTS logged CASCADE").await.unwrap();
    store.table("logged").unwrap().logged().create_tables().await.unwrap();
    let query = "SELECT relpersistence::text FROM pg_class WHERE oid = $1::text::regclass";
    for (table, persistence) in [("logged", "p"), ("unlogged", "u")] {
        let row = client.query_typed_one(query, &[(&table, Type::TEXT)]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), persistence);
    }
}

#[tokio::test]
async fn a_limit_that_whole_microseconds_cannot_keep_is_a_typed_error() {
    let store = store("kept").await;
    let kept = store.keep_to(Strict::new(Rate::per_second(3).unwrap())).unwrap();
    assert_eq!(kept.parameters(), [333_334]);
    let invalid = store.keep_to(Strict::new(Rate::per_second(2_000_000).unwrap())).unwrap_err();
    assert_eq!(invalid.parameter(), "rate");
    let long = SlidingWindow::new(Rate::per_hour(10_001).unwrap());
    assert_eq!(store.keep_to(long).unwrap_err().parameter(), "permits");
    assert_eq!(store.keep_to(Concurrency::new(10_001).unwrap()).unwrap_err().value(), "10001");
}

/// Where each row of a table is, by whom it was written and by whom it was locked.
async fn marks(client: &Client, table: &str) -> Vec<[String; 3]> {
    let query = format!("SELECT ctid::text, xmin::text, xmax::text FROM {table} ORDER BY key");
    let rows = client.query_typed(&query, &[]).await.unwrap();
    rows.iter().map(|row| [row.get(0), row.get(1), row.get(2)]).collect()
}

#[tokio::test]
async fn a_refusal_neither_writes_nor_locks() {
    let store = store("refusals").await;
    let limit = limit("strict", Strict::new(Rate::per_hour(1).unwrap()));
    for key in [b"a", b"b"] {
        assert!(ask(&store, order(&limit, key, take(1))).await.is_granted());
    }
    let client = client().await;
    let before = marks(&client, "refusals").await;
    assert_eq!(before.len(), 2);
    let together = |mut orders: Vec<Order<Strict>>| {
        orders.iter_mut().skip(1).for_each(|order| order.is_with_previous = true);
        Batch::new(orders)
    };
    let reserve = StoreAsk::Reserve { cost: 1, max_wait: Nanos::new(1_000_000) };
    let batches = [
        Batch::new(vec![order(&limit, b"a", take(1))]),
        Batch::new(vec![order(&limit, b"b", reserve)]),
        Batch::new(vec![order(&limit, b"c", take(u32::MAX))]),
        together(vec![order(&limit, b"d", take(1)), order(&limit, b"a", take(1))]),
    ];
    for batch in batches {
        let answers = store.decide(batch).await.unwrap();
        assert!(answers.iter().any(|answer| !answer.is_granted()));
    }
    let nothing = [
        StoreAsk::Ask(Ask::Peek(Take::fresh(1))),
        StoreAsk::Ask(Ask::Take(Take::fresh(0))),
        StoreAsk::Ask(Ask::GiveBack(Grant { cost: 1, at: Nanos::ZERO })),
        StoreAsk::Forget,
    ];
    for what in nothing {
        assert!(ask(&store, order(&limit, b"e", what)).await.is_granted());
    }
    assert_eq!(marks(&client, "refusals").await, before);
    // A batch writes of its keys only those that change.
    let orders = [b"a", b"b", b"f"].map(|key| order(&limit, key, take(1)));
    let answers = store.decide(Batch::new(orders.into())).await.unwrap();
    assert!(answers[2].is_granted());
    assert_eq!(marks(&client, "refusals").await[..2], before);
}

#[tokio::test]
async fn what_equals_new_is_forgotten_from_that_instant_on_and_nobody_notices() {
    let store = store("forgetting").await;
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(3).unwrap();
    let limit = limit("bucket", bucket);
    let now = Nanos::new(1_000_000_000_000);
    for key in 0..2500_u32 {
        let orders = vec![order(&limit, &key.to_be_bytes(), take(1 + key % 2))];
        assert!(store.decide(Batch::new(orders).at(now)).await.unwrap()[0].is_granted());
    }
    let client = client().await;
    let forget = async |now| forget(&client, "forgetting", Nanos::new(now)).await;
    assert_eq!(forget(1_000_999_999_000).await, 0);
    let look = async || {
        let orders = [4_u32, 5].map(|key| order(&limit, &key.to_be_bytes(), take(4)));
        let batch = Batch::new(orders.into()).at(now + Nanos::new(1_000_000_000));
        store.decide(batch).await.unwrap()
    };
    let before = look().await;
    assert_eq!(forget(1_001_000_000_000).await, 1250);
    assert_eq!(look().await, before);
    // The rest in steps, by the clock of the server.
    assert_eq!(store.forget_new().await.unwrap(), 1250);
    assert_eq!(store.forget_new().await.unwrap(), 0);
}

/// Asks for a permit of each of many keys, fifty at a time, and says how many records are left of them.
async fn left_of_many<A: Algorithm>(table: &str, store: impl Store<A>, algorithm: A) -> i64 {
    let limit = limit("limit", algorithm);
    for fifty in 0..30_u32 {
        let keys = 50 * fifty..50 * (fifty + 1);
        let orders = keys.map(|key| order(&limit, &key.to_be_bytes(), take(1))).collect();
        let answers = store.decide(Batch::new(orders)).await.unwrap();
        assert!(answers.iter().all(|answer| answer.is_granted()));
    }
    records(table).await
}

async fn records(table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    client().await.query_typed_one(&count, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn the_table_does_not_grow_by_keys_that_come_once() {
    // A microsecond after its call each key equals a new one. One goes the long way, and one does not.
    let fast = Rate::per_second(1_000_000).unwrap();
    let strict = left_of_many("passing", store("passing").await, Strict::new(fast)).await;
    assert!(strict <= 400, "{strict} records");
    let bucket = LeakyBucket::new(fast).capacity(3).unwrap();
    let quickly = store("passing_quickly").await;
    let bucket = left_of_many("passing_quickly", quickly, bucket).await;
    assert!(bucket <= 400, "{bucket} records");
    let here = store("passing_here").await.decided_here();
    let here = left_of_many("passing_here", here, Strict::new(fast)).await;
    assert!(here <= 400, "{here} records");
}

/// Forgets what was left long ago, in this table, while one other key is asked about.
async fn shrinks(table: &str, store: impl Store<LeakyBucket>) {
    let long_ago = Nanos::new(1_000_000_000_000);
    let bucket = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(1000).unwrap();
    let limit = limit("bucket", bucket);
    let orders = (0..300_u32).map(|key| order(&limit, &key.to_be_bytes(), take(1))).collect();
    let _ = store.decide(Batch::new(orders).at(long_ago)).await.unwrap();
    assert_eq!(records(table).await, 300);
    for _ in 0..301 {
        assert!(ask(&store, order(&limit, b"known", take(1))).await.is_granted());
    }
    assert_eq!(records(table).await, 1);
}

#[tokio::test]
async fn what_equals_new_is_forgotten_while_others_are_asked_about() {
    shrinks("shrinking", store("shrinking").await).await;
    shrinks("shrinking_here", store("shrinking_here").await.decided_here()).await;
}

#[tokio::test]
async fn a_rate_that_was_changed_locks_nobody_out_for_the_old_one() {
    let store = store("changed").await;
    let now = Nanos::new(1_000_000_000_000);
    let lines = ["leaky bucket RATE, capacity 1", "strict RATE", "burst compensating RATE"];
    for (key, line) in lines.into_iter().enumerate() {
        let ask = async |rate, now| {
            let algorithm: AnyAlgorithm = line.replace("RATE", rate).parse().unwrap();
            let orders = vec![order(&limit("changing", algorithm), &[key as u8], take(1))];
            store.decide(Batch::new(orders).at(now)).await.unwrap()[0].decision
        };
        assert!(ask("1/hour", now).await.is_granted());
        let refused = ask("1/s", now + Nanos::new(500_000_000)).await;
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(500)), "{line}");
        assert!(ask("1/s", now + Nanos::new(1_000_000_000)).await.is_granted());
    }
}

#[tokio::test]
async fn a_changed_limit_holds_in_postgres() {
    changing::change(store("changing").await).await;
    changing::change(store("changing_here").await.decided_here()).await;
}
