//! Batches that are decided and written at once, where all is known and granted, and what comes behind
//! them.

use super::{super::crowds, limit, order, pool, store, take};
use crate::servers;
use deadpool_postgres::Client;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio_postgres::types::Type;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Invalid, LeakyBucket, Nanos, Rate, Take,
    algorithm::Scripted,
    store::{Answer, Batch, PostgresStore, Store, StoreAsk, StoreError, StoredLimit},
};

/// After how many batches that could have gone the quickest way the next one does. The first one makes a
/// record, which that way cannot.
pub(super) const MANY: u32 = 9;

fn endless() -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(3_000_000_000).unwrap()
}

/// Asks for nothing but what is known and granted, at this instant or now.
async fn encourage<A: Scripted>(
    store: &PostgresStore,
    limit: &Arc<StoredLimit<A>>,
    now: Option<Nanos>,
) {
    for _ in 0..MANY {
        let batch = Batch::new(vec![order(limit, b"known", take(1))]);
        let batch = match now {
            Some(now) => batch.at(now),
            None => batch,
        };
        assert!(store.decide(batch).await.unwrap()[0].is_granted());
    }
}

/// Has some of the ways of a table fail.
async fn break_ways(table: &str, ways: &[&str]) {
    let client = pool(&servers::postgres::url(), 1).get().await.unwrap();
    let body = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'a way that is broken'; END $$";
    let keys = "set_now bigint, names bytea[], keys bytea[]";
    let counts = "parameters bigint[], costs bigint[], counts bigint[]";
    for way in ways {
        let others = match *way {
            "grant" => counts.to_owned(),
            "take" => format!("{counts}, moments bigint[]"),
            _ => "kinds text[], parameters bigint[], ends integer[], orders bigint[]".to_owned(),
        };
        let function = format!("CREATE OR REPLACE FUNCTION {table}_{way}({keys}, {others})");
        client.batch_execute(&format!("{function} RETURNS bigint[] {body}")).await.unwrap();
    }
}

fn is_broken(answers: Result<Vec<Answer>, StoreError>) -> bool {
    answers.is_err_and(|error| format!("{error:?}").contains("a way that is broken"))
}

#[tokio::test]
async fn what_is_known_and_granted_goes_no_other_way() {
    let store = store("quickest").await;
    let endless = limit("endless", endless());
    encourage(&store, &endless, None).await;
    break_ways("quickest", &["take", "decide"]).await;
    for cost in 1..20 {
        let reserve = StoreAsk::Reserve { cost, max_wait: Default::default() };
        let orders =
            vec![order(&endless, b"known", take(cost)), order(&endless, b"known", reserve)];
        let answers = store.decide(Batch::new(orders)).await.unwrap();
        assert!(answers.iter().all(Answer::is_granted));
        // What it took, and before it nine.
        let expected = 3_000_000_000 - MANY - cost * (cost - 1) - 2 * cost;
        let remaining = answers[1].decision.remaining;
        // A permit a second comes back.
        assert!((expected..expected + 60).contains(&remaining), "{remaining} and {expected}");
    }
    let unknown = vec![order(&endless, b"known", take(1)), order(&endless, b"unknown", take(1))];
    assert!(is_broken(store.decide(Batch::new(unknown)).await));
}

#[tokio::test]
async fn after_what_is_refused_or_unknown_others_go_first() {
    let table = "discouraged";
    let store = store(table).await;
    let once = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(1).unwrap();
    let (endless, once) = (limit("endless", endless()), limit("once", once));
    let ask = async |limit, key| store.decide(Batch::new(vec![order(limit, key, take(1))])).await;
    assert!(ask(&once, b"refused").await.unwrap()[0].is_granted());
    for (limit, key, is_granted) in
        [(&once, b"refused" as &[u8], false), (&endless, b"unknown", true)]
    {
        store.create_tables().await.unwrap();
        encourage(&store, &endless, None).await;
        assert_eq!(ask(limit, key).await.unwrap()[0].is_granted(), is_granted);
        break_ways(table, &["grant"]).await;
        for _ in 1..MANY {
            assert!(ask(&endless, b"known").await.unwrap()[0].is_granted());
        }
        assert!(is_broken(ask(&endless, b"known").await));
    }
}

#[tokio::test]
async fn nothing_is_granted_that_ends_behind_the_time_line() {
    let store = store("last_day").await;
    let endless = limit("endless", endless());
    encourage(&store, &endless, None).await;
    let day = 86_400;
    let late = Nanos::MAX - Nanos::new(day * 1_000_000_000);
    for (cost, is_granted) in [(day as u32 + 1, false), (day as u32 / 2, true)] {
        let batch = Batch::new(vec![order(&endless, b"known", take(cost))]).at(late);
        assert_eq!(store.decide(batch).await.unwrap()[0].is_granted(), is_granted);
    }
}

/// A store that tries the quickest way, mostly.
#[derive(Clone, Debug)]
struct Encouraged {
    store: PostgresStore,
    asked: Arc<AtomicU32>,
}

impl Store<AnyAlgorithm> for Encouraged {
    async fn decide(&self, batch: Batch<AnyAlgorithm>) -> Result<Vec<Answer>, StoreError> {
        if self.asked.fetch_add(1, Relaxed).is_multiple_of(3) {
            encourage(&self.store, &limit("other", endless()), batch.now()).await;
        }
        self.store.decide(batch).await
    }

    fn keep_to(&self, algorithm: AnyAlgorithm) -> Result<AnyAlgorithm, Invalid> {
        self.store.keep_to(algorithm)
    }
}

#[tokio::test]
async fn crowds_of_calls_get_the_same_answers() {
    for (seed, line) in crowds::LIMITS.into_iter().enumerate() {
        if !line.starts_with("leaky bucket") {
            // They go the long way only.
            continue;
        }
        for (round, start) in crowds::STARTS.into_iter().enumerate() {
            let store = store(&format!("quickest_{seed}_{round}")).await;
            let store = Encouraged { store, asked: Arc::default() };
            crowds::agree(store, line, start, 100 + seed as u64).await;
        }
    }
}

/// How many connections wait for a lock of this table's records.
async fn waiting(client: &Client, table: &str) -> i64 {
    let query =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1";
    let call = format!("%{table}_grant%");
    client.query_typed_one(query, &[(&call, Type::TEXT)]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_record_goes_by_what_and_when_it_is_then() {
    let table = "behind_a_lock";
    let store = store(table).await;
    let hourly = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(5).unwrap();
    let hourly = limit("hourly", hourly);
    let orders = || vec![order(&hourly, b"key", take(2)), order(&hourly, b"other", take(1))];
    let one = vec![order(&hourly, b"key", take(1)), order(&hourly, b"other", take(1))];
    assert!(store.decide(Batch::new(one)).await.unwrap().iter().all(Answer::is_granted));
    encourage(&store, &limit("endless", endless()), None).await;

    let client = pool(&servers::postgres::url(), 1).get().await.unwrap();
    let lock = format!("BEGIN; SELECT FROM {table} FOR UPDATE");
    client.batch_execute(&lock).await.unwrap();
    let tasks = (0..4).map(|_| {
        let (store, batch) = (store.clone(), Batch::new(orders()));
        tokio::spawn(async move { store.decide(batch).await.unwrap() })
    });
    let tasks: Vec<_> = tasks.collect();
    // Within a transaction nothing new is seen.
    let other = pool(&servers::postgres::url(), 1).get().await.unwrap();
    let all = async {
        while waiting(&other, table).await < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("all of them wait");
    // More than the tenth of a second for which an instant is good.
    let until = format!("SELECT {table}_clock() FROM pg_sleep(0.15)");
    let until: i64 = client.query_typed_one(&until, &[]).await.unwrap().get(0);
    client.batch_execute("COMMIT").await.unwrap();
    let mut granted = 0;
    for task in tasks {
        let answers = task.await.unwrap();
        granted += answers.iter().filter(|answer| answer.is_granted()).count();
        for grant in answers.iter().filter_map(|answer| answer.decision.grant()) {
            assert!(grant.at >= Nanos::new(until as u64 * 1000), "{:?} and {until}", grant.at);
        }
    }
    // Of the one key two times two of the four that were left, of the other one of four each.
    assert_eq!(granted, 2 + 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_beaten_to_a_record_is_discouraged_once() {
    let table = "beaten";
    let store = store(table).await;
    let endless = limit("endless", endless());
    encourage(&store, &endless, None).await;
    // As if others were in the way of the quick ways.
    let client = pool(&servers::postgres::url(), 1).get().await.unwrap();
    let nothing = |way: &str, others: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION {table}_{way}(set_now bigint, names bytea[], keys bytea[], \
             parameters bigint[], costs bigint[], counts bigint[]{others}) RETURNS bigint[] \
             LANGUAGE sql AS 'SELECT NULL::bigint[]'"
        )
    };
    client.batch_execute(&nothing("grant", "")).await.unwrap();
    client.batch_execute(&nothing("take", ", moments bigint[]")).await.unwrap();
    let ask = async || store.decide(Batch::new(vec![order(&endless, b"known", take(1))])).await;
    assert!(ask().await.unwrap()[0].is_granted());
    store.create_tables().await.unwrap();
    break_ways(table, &["grant"]).await;
    // Another way once, and then that one again.
    assert!(ask().await.unwrap()[0].is_granted());
    assert!(is_broken(ask().await));
}

/// Batches about some of the same keys, in all orders, of all ways: some about known keys only, some with
/// a new one, some with a question. A server that finds two that wait for each other lets one go on after
/// a second; this one never does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_all_ways_never_lock_each_other_out() {
    drop(store("ways").await);
    let options = "options='-c deadlock_timeout=1h -c statement_timeout=20s'";
    let pool = pool(&format!("{} {options}", servers::postgres::url()), 8);
    let store = PostgresStore::new(pool).table("ways").unwrap();
    let endless = limit("endless", endless());
    encourage(&store, &endless, None).await;
    let peek = StoreAsk::Ask(Ask::Peek(Take::fresh(1)));
    let tasks = (0..8_u8).map(|task| {
        let (store, endless) = (store.clone(), Arc::clone(&endless));
        tokio::spawn(async move {
            for step in 0..80_u8 {
                let key = |index: u8| (task ^ step.wrapping_mul(7)).wrapping_add(index * 5) % 16;
                let mut orders: Vec<_> =
                    (0..8).map(|index| order(&endless, &[key(index)], take(1))).collect();
                match (step.is_multiple_of(10), task) {
                    (true, 0..2) => orders.push(order(&endless, &[16 + step, task / 4], take(1))),
                    (true, 2..4) => orders.push(order(&endless, &[key(0)], peek)),
                    _ => {}
                }
                let answers = store.decide(Batch::new(orders)).await.unwrap();
                assert!(answers.iter().all(Answer::is_granted));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let orders = (0..16).map(|key| order(&endless, &[key], take(0))).collect();
    let answers = store.decide(Batch::new(orders)).await.unwrap();
    let taken: u32 = answers.iter().map(|answer| 3_000_000_000 - answer.decision.remaining).sum();
    let expected = 8 * 80 * 8;
    // A permit a second comes back of each.
    assert!((expected / 2..=expected).contains(&taken), "{taken} of {expected}");
}
