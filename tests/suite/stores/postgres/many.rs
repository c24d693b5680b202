//! Many at the same time.

use super::{ask, limit, order, store, take};
use std::sync::Arc;
use tower_ratelimit::{
    LeakyBucket, Quota, Rate,
    algorithm::Scripted,
    store::{Batch, Order, PostgresRecords, PostgresStore, Store, StoreKey, StoredLimit},
};

/// The permits granted of batches that are all asked at the same time: those of a group are, when
/// all of them are.
async fn granted<A: Scripted>(store: &PostgresStore, batches: Vec<Vec<Order<A>>>) -> usize {
    let tasks = batches.into_iter().map(|orders| {
        let store = store.clone();
        tokio::spawn(async move {
            let batch = Batch::new(orders);
            let groups: Vec<usize> = batch.groups().map(<[_]>::len).collect();
            let mut answers = store.decide(batch).await.unwrap().into_iter();
            let mut is_granted = |size: &usize| {
                let group: Vec<_> = answers.by_ref().take(*size).collect();
                group.iter().all(|answer| answer.is_granted())
            };
            groups.into_iter().filter(|size| is_granted(size)).sum::<usize>()
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut granted = 0;
    for task in tasks {
        granted += task.await.unwrap();
    }
    granted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_take_exactly_what_there_is() {
    take_exactly_what_there_is(&store("many").await).await;
}

pub(super) async fn take_exactly_what_there_is(store: &PostgresStore) {
    let hourly = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(100).unwrap();
    let limit = limit("hourly", hourly);
    for key in 0..3_u8 {
        let batch = |_| (0..3).map(|_| order(&limit, &[key], take(1))).collect();
        assert_eq!(granted(store, (0..60).map(batch).collect()).await, 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_decided_here_is_decided_once() {
    take_each_permit_once(&store("many_here").await.decided_here()).await;
}

pub(super) async fn take_each_permit_once(here: &PostgresRecords) {
    let hourly = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(30).unwrap();
    let limit = limit("hourly", hourly);
    let tasks = (0..4).map(|_| {
        let (here, limit) = (here.clone(), Arc::clone(&limit));
        tokio::spawn(async move {
            let mut granted = 0;
            for _ in 0..15 {
                granted += usize::from(ask(&here, order(&limit, b"a", take(1))).await.is_granted());
            }
            granted
        })
    });
    let mut granted = 0;
    for task in tasks.collect::<Vec<_>>() {
        granted += task.await.unwrap();
    }
    assert_eq!(granted, 30);
}

/// Groups of all keys, from one end or from the other.
fn groups(limit: &Arc<StoredLimit<Quota>>, round: u8, many: usize) -> Vec<Vec<Order<Quota>>> {
    let group = |number: usize| {
        let mut orders: Vec<_> =
            (0..4_u8).map(|key| order(limit, &[round, key], take(1))).collect();
        if number.is_multiple_of(2) {
            orders.reverse();
        }
        orders.iter_mut().skip(1).for_each(|order| order.is_with_previous = true);
        orders
    };
    (0..many).map(group).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_the_same_keys_in_any_order_never_lock_each_other_out() {
    never_lock_each_other_out(&store("opposite").await).await;
}

pub(super) async fn never_lock_each_other_out(store: &PostgresStore) {
    let limit = limit("quota", Quota::new(20).unwrap());
    // New keys each time: those that come first put them into the table.
    for round in 0..10 {
        assert_eq!(granted(store, groups(&limit, round, 24)).await, 20 * 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_group_nobody_sees_a_part() {
    are_seen_as_a_whole(&store("whole").await).await;
}

pub(super) async fn are_seen_as_a_whole(store: &PostgresStore) {
    let limit = limit("parted", Quota::new(30).unwrap());
    let mut batches = groups(&limit, 0, 60);
    // Others take of one of the keys alone.
    batches.extend((0..15).map(|_| vec![order(&limit, &[0, 2], take(1))]));
    let of_groups_and_singles = granted(store, batches).await;
    let answers = (0..4_u8).map(|key| order(&limit, &[0, key], take(0))).collect();
    let answers = store.decide(Batch::new(answers)).await.unwrap();
    let left: Vec<u32> = answers.iter().map(|answer| answer.decision.remaining).collect();
    let groups = 30 - left[0];
    assert_eq!(left, [left[0], left[0], 0, left[0]], "each group took of all keys");
    assert_eq!(of_groups_and_singles as u32, 3 * groups + 30);
}

#[tokio::test]
async fn hostile_keys_are_keys() {
    let store = store("hostile").await;
    let long = vec![b'x'; 10_000];
    let mut longer = long.clone();
    longer.push(b'y');
    let keys: [&[u8]; 10] = [
        b"a'b",
        b"x'); DROP TABLE hostile; --",
        b"line\nline",
        b"\0",
        b"",
        b"\\x00",
        &[0xff, 0xfe],
        &long,
        &longer,
        "\u{1f980}{}\",NULL".as_bytes(),
    ];
    let limits = ["plain", "a'b\"c", "nul\0", "", "\u{e9}"].map(|name| limit(name, one()));
    for limit in &limits {
        let orders = |_| keys.iter().map(|key| order(limit, key, take(1))).collect();
        assert_eq!(granted(&store, (0..3).map(orders).collect()).await, keys.len());
    }
    let all: Vec<_> =
        limits.iter().flat_map(|limit| keys.map(|key| order(limit, key, take(1)))).collect();
    assert_eq!(granted(&store, vec![all]).await, 0);
}

fn one() -> Quota {
    Quota::new(1).unwrap()
}

#[tokio::test]
async fn a_key_whose_digest_another_one_spells_is_another_key() {
    let store = store("digests").await;
    let limit = limit("plain", one());
    let long = StoreKey::new(&vec![b'x'; 10_000][..]);
    let ask = |key: StoreKey| vec![Order { key, ..order(&limit, b"", take(1)) }];
    assert_eq!(granted(&store, vec![ask(long)]).await, 1);
    let rows = store_rows("digests").await;
    assert_eq!(rows.len(), 1);
    assert!(rows[0].len() < 1100, "{} bytes would not fit into an index", rows[0].len());
}

/// The keys in a table.
async fn store_rows(table: &str) -> Vec<Vec<u8>> {
    let pool = super::pool(&crate::servers::postgres::url(), 1);
    let client = pool.get().await.unwrap();
    let rows = client.query_typed(&format!("SELECT key FROM {table}"), &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
