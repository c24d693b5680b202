//! When the file is written to, and when not.

use super::{Folder, ask, batch, connect, count, limit, quota, remaining, take, wait};
use rusqlite::Connection;
use std::sync::Arc;
use tower_ratelimit::{
    Ask, LeakyBucket, Quota, Rate, Take,
    store::{Batch, Order, Store, StoreAsk, StoreKey},
};

/// A number that changes when anybody else writes to the file.
fn version(file: &Connection) -> i64 {
    file.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn only_what_changes_a_state_is_written() {
    let (folder, two) = (Folder::new(), quota(2));
    let store = folder.open();
    let file = connect(&folder.file());
    let mut before = version(&file);
    let mut is_written = |what: Ask| {
        let answer = wait(ask(&store, &two, "a", what)).unwrap();
        let (earlier, now) = (before, version(&file));
        before = now;
        (answer.is_granted(), now != earlier)
    };
    assert_eq!(is_written(Ask::Peek(Take::fresh(1))), (true, false));
    assert_eq!(is_written(Ask::Take(Take::fresh(0))), (true, false));
    assert_eq!(is_written(Ask::Take(Take::fresh(1))), (true, true));
    assert_eq!(is_written(Ask::Take(Take::fresh(2))), (false, false));
    assert_eq!(is_written(Ask::Take(Take::fresh(0))), (true, false));
    assert_eq!(is_written(Ask::Take(Take::fresh(1))), (true, true));
    for _ in 0..100 {
        assert_eq!(is_written(Ask::Take(Take::fresh(1))), (false, false));
    }
    assert_eq!(is_written(Ask::Peek(Take::fresh(1))), (false, false));
}

#[test]
fn of_several_keys_all_are_written_or_none() {
    let folder = Folder::new();
    let store = folder.open();
    let (two, three) = (quota(2), limit("three", Quota::new(3).unwrap()));
    let both = |cost| {
        let order = |limit: &Arc<_>, is_with_previous| {
            let (limit, key) = (Arc::clone(limit), StoreKey::new("a"));
            Order { limit, key, ask: StoreAsk::Ask(Ask::Take(Take::fresh(cost))), is_with_previous }
        };
        let batch = Batch::new(vec![order(&three, false), order(&two, true)]);
        let answers = wait(store.decide(batch)).unwrap();
        answers.iter().map(|answer| answer.is_granted()).collect::<Vec<_>>()
    };
    assert_eq!(both(2), [true, true]);
    let file = connect(&folder.file());
    let before = version(&file);
    assert_eq!(both(1), [true, false]);
    assert_eq!(version(&file), before);
    assert_eq!(remaining(&store, &three, "a").ok(), Some(1));
}

#[test]
fn what_is_forgotten_leaves_no_row() {
    let (folder, two) = (Folder::new(), quota(2));
    let store = folder.open();
    take(&store, &two, "a", 2).unwrap();
    take(&store, &two, "b", 2).unwrap();
    let file = connect(&folder.file());
    assert_eq!(count(&file, "rate_limits"), 2);
    let forget = || Order {
        limit: Arc::clone(&two),
        key: StoreKey::new("a"),
        ask: StoreAsk::Forget,
        is_with_previous: false,
    };
    wait(store.decide(Batch::new(vec![forget()]))).unwrap();
    assert_eq!(count(&file, "rate_limits"), 1);
    let before = version(&file);
    wait(store.decide(Batch::new(vec![forget()]))).unwrap();
    assert_eq!(version(&file), before);
    assert_eq!(remaining(&store, &two, "a").ok(), Some(2));
    assert_eq!(remaining(&store, &two, "b").ok(), Some(0));
}

#[test]
fn an_empty_batch_is_answered() {
    let folder = Folder::new();
    let store = folder.open();
    let nothing = Batch::<Quota>::new(Vec::new());
    assert_eq!(wait(store.decide(nothing)).unwrap(), []);
}

#[test]
fn rows_that_equal_new_are_deleted_in_passing() {
    let folder = Folder::new();
    let store = folder.open();
    // Each equals new a nanosecond after it was written.
    let fast = Rate::new(1_000_000, std::time::Duration::from_millis(1)).unwrap();
    let fast = limit("fast", LeakyBucket::new(fast).capacity(1).unwrap());
    for key in 0..2000_u32 {
        assert!(take(&store, &fast, &key, 1).unwrap());
    }
    let rows = count(&connect(&folder.file()), "rate_limits");
    assert!(rows < 200, "{rows} rows");
}

#[test]
fn orders_of_a_batch_see_those_before_them() {
    let (folder, ten) = (Folder::new(), quota(10));
    let store = folder.open();
    let orders = (0..15).map(|_| batch(&ten, "a", Ask::Take(Take::fresh(1))).orders()[0].clone());
    let answers = wait(store.decide(Batch::new(orders.collect()))).unwrap();
    let granted: Vec<_> = answers.iter().map(|answer| answer.is_granted()).collect();
    assert_eq!(granted, [[true; 10].as_slice(), &[false; 5]].concat());
}
