//! What becomes of those who ask when the file does not do what it should.

use super::{Folder, ask, code, connect, limit, quota, remaining, take, wait};
use rusqlite::ErrorCode;
use std::{error::Error, time::Duration};
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    Algorithm, Ask, Decision, LeakyBucket, Nanos, OnFailure::Refuse, Quota, Rate, Reason,
    SlidingWindow, StoredLimiter, Take, algorithm::Spent, store::SqliteStore,
};

#[test]
fn a_file_that_somebody_holds_fails_what_would_be_granted_and_nothing_else() {
    let (folder, two) = (Folder::new(), quota(2));
    let builder = SqliteStore::builder().busy_timeout(Duration::from_millis(30));
    let store = builder.open(folder.file()).unwrap();
    take(&store, &two, "spent", 2).unwrap();
    let file = connect(&folder.file());
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = take(&store, &two, "a", 1).unwrap_err();
    assert_eq!(code(&error), Some(ErrorCode::DatabaseBusy));
    assert_eq!(take(&store, &two, "spent", 1).ok(), Some(false));
    assert_eq!(remaining(&store, &two, "a").ok(), Some(2));
    assert_eq!(take(&store, &two, "a", 0).ok(), Some(true));
    assert!(take(&store, &two, "a", 1).is_err());
    // Opening it needs no writing.
    drop(folder.open());
    file.execute_batch("COMMIT").unwrap();
    assert_eq!(take(&store, &two, "a", 2).ok(), Some(true));
}

#[test]
fn those_who_ask_together_fail_or_are_answered_each_for_itself() {
    let (folder, two) = (Folder::new(), quota(2));
    let builder = SqliteStore::builder().busy_timeout(Duration::from_millis(100));
    let store = builder.open(folder.file()).unwrap();
    take(&store, &two, "spent", 2).unwrap();
    let file = connect(&folder.file());
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let take_one = |key| task::spawn(ask(&store, &two, key, Ask::Take(Take::fresh(1))));
    let mut asked = ["a", "b", "spent", "c"].map(take_one);
    asked.iter_mut().for_each(|asked| assert_pending!(asked.poll()));
    let answers = asked.map(|asked| wait(asked).ok().map(|answer| answer.is_granted()));
    assert_eq!(answers, [None, None, Some(false), None]);
}

#[test]
fn a_full_disk_fails_what_needs_room_and_nothing_else() {
    let folder = Folder::new();
    let (pages, two) = (16, quota(2));
    let builder = SqliteStore::builder().max_bytes(pages * 4096);
    let store = builder.open(folder.file()).unwrap();
    take(&store, &two, "spent", 2).unwrap();
    let mut keys = (0..10_000_u32).map(|key| (key, take(&store, &two, &key, 1)));
    let (homeless, error) = keys.find_map(|(key, taken)| Some((key, taken.err()?))).unwrap();
    assert_eq!(code(&error), Some(ErrorCode::DiskFull));
    assert!(homeless > 500, "{homeless}");
    for _ in 0..10 {
        assert!(take(&store, &two, &homeless, 1).is_err());
        assert_eq!(take(&store, &two, "spent", 1).ok(), Some(false));
        assert_eq!(remaining(&store, &two, &homeless).ok(), Some(2));
    }
    // Nothing was taken by those who failed, and those who have a row may go on.
    assert_eq!(take(&store, &two, &0_u32, 1).ok(), Some(true));
    assert_eq!(take(&store, &two, &0_u32, 1).ok(), Some(false));
    // Others may write more.
    assert_eq!(take(&folder.open(), &two, &homeless, 2).ok(), Some(true));
    assert_eq!(take(&store, &two, &homeless, 1).ok(), Some(false));
}

#[test]
fn a_full_disk_has_room_again_when_rows_equal_new() {
    let folder = Folder::new();
    let builder = SqliteStore::builder().max_bytes(16 * 4096);
    let store = builder.open(folder.file()).unwrap();
    let fast = Rate::new(1_000_000, Duration::from_millis(1)).unwrap();
    let fast = limit("fast", LeakyBucket::new(fast).capacity(1).unwrap());
    for key in 0..5_000_u32 {
        assert_eq!(take(&store, &fast, &key, 1).ok(), Some(true));
    }
}

#[test]
fn a_state_of_another_algorithm_is_an_error_for_those_who_ask_about_it_only() {
    let folder = Folder::new();
    let store = folder.open();
    let daily = Rate::per_day(1).unwrap();
    take(&store, &limit("same", LeakyBucket::new(daily)), "a", 1).unwrap();
    let window = limit("same", SlidingWindow::new(daily));
    let two = quota(2);
    let file = connect(&folder.file());
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut first = task::spawn(ask(&store, &two, "first", Ask::Take(Take::fresh(1))));
    assert_pending!(first.poll());
    let mut good = task::spawn(ask(&store, &two, "a", Ask::Take(Take::fresh(1))));
    assert_pending!(good.poll());
    let mut bad = task::spawn(ask(&store, &window, "a", Ask::Take(Take::fresh(1))));
    assert_pending!(bad.poll());
    let mut last = task::spawn(ask(&store, &two, "a", Ask::Take(Take::fresh(1))));
    assert_pending!(last.poll());
    file.execute_batch("COMMIT").unwrap();
    let error = wait(bad).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("\"same\""));
    assert!(wait(good).unwrap().is_granted());
    assert!(wait(last).unwrap().is_granted());
    assert!(wait(first).unwrap().is_granted());
    assert_eq!(remaining(&store, &two, "a").ok(), Some(0));
    assert_eq!(take(&store, &window, "b", 1).ok(), Some(true));
}

/// Grants one, and panics when asked for two.
#[derive(Debug)]
struct Panics;

impl Algorithm for Panics {
    type State = u64;
    type Permits = Spent;

    fn decide(&self, taken: &mut u64, now: Nanos, ask: Ask) -> Decision {
        if let Ask::Take(Take { cost: 2, .. }) = ask {
            *taken += 2;
            panic!("two");
        }
        Quota::new(5).unwrap().decide(taken, now, ask)
    }

    fn new_at(&self, taken: &u64) -> Nanos {
        if *taken == 0 { Nanos::ZERO } else { Nanos::MAX }
    }

    fn interval(&self) -> Nanos {
        Nanos::new(1)
    }

    fn shelf_life(&self) -> Nanos {
        Nanos::new(1)
    }

    fn rate(&self, _: usize) -> Option<Rate> {
        None
    }

    fn most_in(&self, _: Duration) -> u64 {
        5
    }

    fn carry_over(&self, _: &Self, _: &mut u64, _: Nanos) {}
}

#[test]
fn an_algorithm_that_panics_fails_alone_and_changes_nothing() {
    let folder = Folder::new();
    let (store, panics) = (folder.open(), limit("panics", Panics));
    assert_eq!(take(&store, &panics, "a", 1).ok(), Some(true));
    assert!(take(&store, &panics, "a", 2).is_err());
    assert_eq!(take(&store, &panics, "a", 1).ok(), Some(true));
    assert_eq!(remaining(&store, &panics, "a").ok(), Some(3));
}

#[tokio::test]
async fn a_record_that_nobody_can_read_takes_only_its_own_key_with_it() {
    let folder = Folder::new();
    let store = folder.open();
    let rate = Rate::per_minute(10).unwrap();
    let builder = StoredLimiter::builder("api", store.clone(), Quota::new(9).unwrap(), Refuse);
    builder.build().unwrap().key("a").try_acquire().await.unwrap();
    // A limit of the same name.
    let windows = SlidingWindow::new(rate);
    let limiter = StoredLimiter::builder("api", store, windows, Refuse).build().unwrap();
    for _ in 0..10 {
        let refusal = limiter.key("a").try_acquire().await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::Unavailable);
    }
    limiter.key("b").try_acquire().await.unwrap();
}
