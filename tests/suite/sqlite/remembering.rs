//! Rows that a store remembers are those of the file.

use super::{Folder, connect, limit, quota, remaining, take, wait};
use rusqlite::params;
use std::sync::Arc;
use tower_ratelimit::{
    Ask, Nanos, Rate, Strict, Take,
    store::{Batch, Order, SqliteStore, Store, StoreAsk, StoreKey},
};

#[test]
fn what_another_connection_has_written_counts() {
    let (folder, twenty) = (Folder::new(), quota(20));
    let stores = [folder.open(), folder.open(), folder.open()];
    for left in (0..20).rev() {
        let (taker, looker) = (&stores[left as usize % 3], &stores[left as usize % 2]);
        assert_eq!(take(taker, &twenty, "a", 1).ok(), Some(true));
        assert_eq!(remaining(looker, &twenty, "a").ok(), Some(left));
    }
    for store in &stores {
        assert_eq!(take(store, &twenty, "a", 1).ok(), Some(false));
    }
}

#[test]
fn rows_that_somebody_has_deleted_or_changed_are_so() {
    let (folder, two) = (Folder::new(), quota(2));
    let store = folder.open();
    for key in ["a", "b"] {
        assert_eq!(take(&store, &two, key, 2).ok(), Some(true));
    }
    let file = connect(&folder.file());
    let key = |key| StoreKey::new(key).bytes().to_vec();
    file.execute("DELETE FROM rate_limits WHERE key = ?1", params![key("a")]).unwrap();
    assert_eq!(remaining(&store, &two, "a").ok(), Some(2));
    assert_eq!(take(&store, &two, "b", 1).ok(), Some(false));
    let swap = "UPDATE rate_limits SET key = ?1 WHERE key = ?2";
    file.execute(swap, params![key("a"), key("b")]).unwrap();
    assert_eq!(take(&store, &two, "a", 1).ok(), Some(false));
    assert_eq!(take(&store, &two, "b", 2).ok(), Some(true));
}

#[test]
fn what_could_not_be_committed_is_not_remembered() {
    let (folder, two) = (Folder::new(), quota(2));
    let store = folder.open();
    assert_eq!(take(&store, &two, "a", 1).ok(), Some(true));
    let file = connect(&folder.file());
    // Whatever is written about this limit fails, in the middle of the transaction.
    let trigger = "CREATE TRIGGER refusing BEFORE INSERT ON rate_limits
        BEGIN SELECT RAISE(ABORT, 'not now'); END";
    file.execute_batch(trigger).unwrap();
    assert!(take(&store, &two, "a", 1).is_err());
    assert!(take(&store, &two, "b", 2).is_err());
    file.execute_batch("DROP TRIGGER refusing").unwrap();
    assert_eq!(remaining(&store, &two, "a").ok(), Some(1));
    assert_eq!(remaining(&store, &two, "b").ok(), Some(2));
    assert_eq!(take(&store, &two, "b", 2).ok(), Some(true));
    assert_eq!(take(&store, &two, "a", 2).ok(), Some(false));
}

/// Asks for one permit of each key at an instant, and says how many were granted.
fn take_at(store: &SqliteStore, keys: std::ops::Range<u32>, now: Nanos) -> usize {
    let limit = limit("strict", Strict::new(Rate::per_second(10).unwrap()));
    let orders = keys.map(|key| {
        let (limit, key) = (Arc::clone(&limit), StoreKey::new(&key));
        let ask = StoreAsk::Ask(Ask::Take(Take::fresh(1)));
        Order { limit, key, ask, is_with_previous: false }
    });
    let answers = wait(store.decide(Batch::new(orders.collect()).at(now))).unwrap();
    answers.iter().filter(|answer| answer.is_granted()).count()
}

#[test]
fn a_row_that_was_deleted_in_passing_is_written_again() {
    let (folder, start) = (Folder::new(), Nanos::new(1 << 60));
    let store = folder.open();
    assert_eq!(take_at(&store, 0..10, start), 10);
    // These delete those, which equal new by then.
    assert_eq!(take_at(&store, 1000..1400, start + Nanos::new(100_000_000)), 400);
    // The rows are the same once more, byte by byte.
    assert_eq!(take_at(&store, 0..10, start), 10);
    assert_eq!(take_at(&folder.open(), 0..10, start), 0);
}

#[test]
fn more_keys_than_are_remembered_all_count() {
    let (folder, one) = (Folder::new(), quota(1));
    let store = folder.open();
    // Four megabytes of rows are remembered, of 256 bytes at least.
    let batch = |from: u32| {
        let orders = (from..from + 1000).map(|key| {
            let (limit, key) = (Arc::clone(&one), StoreKey::new(&key));
            let ask = StoreAsk::Ask(Ask::Take(Take::fresh(1)));
            Order { limit, key, ask, is_with_previous: false }
        });
        let answers = wait(store.decide(Batch::new(orders.collect()))).unwrap();
        answers.iter().filter(|answer| answer.is_granted()).count()
    };
    for granted in [1000, 0] {
        for thousand in 0..20 {
            assert_eq!(batch(1000 * thousand), granted);
        }
    }
}
