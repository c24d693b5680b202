//! What is in a file stays there, and whoever opened it lets go of it.

use super::{Folder, Limit, ask, connect, count, later, limit, quota, remaining, take, wait};
use rusqlite::Connection;
use std::{fs, time::Duration};
use tower_ratelimit::{
    Ask, FixedWindow, LeakyBucket, Rate, Take,
    store::{SqliteStore, Synchronous},
};

fn leaky(capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::per_day(1).unwrap()).capacity(capacity).unwrap()
}

#[test]
fn limits_outlive_their_store() {
    let (folder, two, ten) = (Folder::new(), limit("two", leaky(2)), quota(10));
    for left in [1, 0] {
        let store = folder.open();
        assert_eq!(take(&store, &two, "a", 1).ok(), Some(true));
        assert_eq!(remaining(&store, &two, "a").ok(), Some(left));
        assert_eq!(take(&store, &ten, "a", 3).ok(), Some(true));
    }
    let store = folder.open();
    assert_eq!(take(&store, &two, "a", 1).ok(), Some(false));
    assert_eq!(remaining(&store, &two, "b").ok(), Some(2));
    assert_eq!(remaining(&store, &ten, "a").ok(), Some(4));
}

#[test]
fn stores_on_one_file_share_its_limits_and_tables_of_other_names_do_not() {
    let (folder, ten) = (Folder::new(), quota(10));
    let open = |table: &str| {
        let builder = SqliteStore::builder().table(table).unwrap();
        builder.synchronous(Synchronous::Full).open(folder.file()).unwrap()
    };
    let (first, second) = (open("limits"), open("limits"));
    // A word that means something in SQL is a name like any other.
    let others = open("order");
    take(&first, &ten, "a", 4).unwrap();
    assert_eq!(remaining(&second, &ten, "a").ok(), Some(6));
    assert_eq!(remaining(&first.clone(), &ten, "a").ok(), Some(6));
    assert_eq!(remaining(&others, &ten, "a").ok(), Some(10));
}

#[test]
fn names_that_are_no_names_of_tables_are_typed_errors() {
    let long = "x".repeat(49);
    for name in ["", "1st", "a b", "a\"b", "x; DROP TABLE y", "sqlite_x", "SQLite_x", "ä", &long] {
        let invalid = SqliteStore::builder().table(name).unwrap_err();
        assert_eq!((invalid.parameter(), invalid.value()), ("table", &*format!("{name:?}")));
    }
    for name in ["x", "_1", "Limits_2", &long[1..]] {
        assert!(SqliteStore::builder().table(name).is_ok(), "{name}");
    }
}

#[test]
fn time_goes_on_from_the_latest_instant_in_the_file() {
    let (folder, hourly) =
        (Folder::new(), limit("hourly", LeakyBucket::new(Rate::per_hour(1).unwrap())));
    let store = folder.open();
    let take_one = || wait(ask(&store, &hourly, "a", Ask::Take(Take::fresh(10)))).unwrap();
    assert!(take_one().is_granted());
    // The clock was years ahead when that was written.
    let file = connect(&folder.file());
    let latest = || -> i64 {
        file.query_row("SELECT latest FROM rate_limits_clock", [], |row| row.get(0)).unwrap()
    };
    let ahead = latest() + 100_000_000_000_000_000;
    file.execute("UPDATE rate_limits_clock SET latest = ?1", [ahead]).unwrap();
    let granted = take_one();
    assert!(granted.is_granted(), "the hours have passed since");
    assert!((ahead..ahead + 600_000_000_000).contains(&latest()));
    // Nobody waits for the clock to catch up, and neither after the next start.
    let hours = Duration::from_secs(10 * 3600);
    assert!(later(&take_one()).unwrap() <= hours);
    drop(store);
    let store = folder.open();
    let again = wait(ask(&store, &hourly, "a", Ask::Take(Take::fresh(10)))).unwrap();
    assert!(later(&again).unwrap() <= hours);
}

/// What the file takes for the time from now on: so much later.
fn set_ahead(file: &Connection, nanoseconds: i64) {
    let set = "UPDATE rate_limits_clock SET latest = latest + ?1";
    file.execute(set, [nanoseconds]).unwrap();
}

fn each_minute() -> Limit<LeakyBucket> {
    limit("each minute", LeakyBucket::new(Rate::per_minute(1).unwrap()).capacity(1).unwrap())
}

#[test]
fn time_goes_on_for_those_who_come_only_to_be_refused() {
    let (folder, each_minute) = (Folder::new(), each_minute());
    take(&folder.open(), &each_minute, "a", 1).unwrap();
    // The clock was half a minute ahead since, and was set back.
    set_ahead(&connect(&folder.file()), 30_000_000_000);
    let ask_once = |_| {
        let store = folder.open();
        later(&wait(ask(&store, &each_minute, "a", Ask::Take(Take::fresh(1)))).unwrap()).unwrap()
    };
    let waits = [(); 5].map(ask_once);
    assert_eq!(waits[0], Duration::from_secs(30));
    assert!(waits.is_sorted_by(|wait, next| wait > next), "{waits:?}");
}

#[test]
fn those_who_come_to_be_refused_wait_for_nobody_who_holds_the_file() {
    let (folder, each_minute) = (Folder::new(), each_minute());
    take(&folder.open(), &each_minute, "a", 1).unwrap();
    let file = connect(&folder.file());
    set_ahead(&file, 30_000_000_000);
    // If it waited, it would do so for days.
    let open = || SqliteStore::builder().busy_timeout(Duration::MAX).open(folder.file()).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = open();
    for _ in 0..3 {
        assert_eq!(take(&store, &each_minute, "a", 1).ok(), Some(false));
    }
    file.execute_batch("COMMIT").unwrap();
    assert_eq!(take(&store, &each_minute, "b", 1).ok(), Some(true));
    assert_eq!(take(&open(), &each_minute, "b", 1).ok(), Some(false));
}

#[test]
fn time_is_counted_from_1970() {
    let (folder, half_days) = (Folder::new(), Rate::new(1, Duration::from_secs(43_200)).unwrap());
    let aligned = FixedWindow::new(half_days).aligned_to(Duration::ZERO);
    let store = folder.open();
    take(&store, &limit("half-days", aligned), "a", 1).unwrap();
    let file = connect(&folder.file());
    let new_at: i64 =
        file.query_row("SELECT new_at FROM rate_limits", [], |row| row.get(0)).unwrap();
    assert_eq!(new_at % 43_200_000_000_000, 0);
}

#[test]
fn the_file_is_closed_when_the_last_handle_is_gone() {
    let (folder, ten) = (Folder::new(), quota(10));
    let log = folder.0.join("limits.sqlite-wal");
    let first = folder.open();
    let second = first.clone();
    drop(first);
    take(&second, &ten, "a", 1).unwrap();
    assert!(log.exists());
    drop(second);
    // SQLite removes the log when it closes the file.
    super::processes::until("the log is gone", || !log.exists());
    assert_eq!(count(&connect(&folder.file()), "rate_limits"), 1);
}

#[test]
fn what_cannot_be_opened_is_an_error_and_stays_as_it_is() {
    let folder = Folder::new();
    assert!(SqliteStore::open(folder.0.join("missing").join("file")).is_err());
    assert!(SqliteStore::open(&folder.0).is_err());
    // They would be gone with the connection.
    assert!(SqliteStore::open(":memory:").is_err());
    assert!(SqliteStore::open("").is_err());
    let text = folder.0.join("text");
    fs::write(&text, "no database, and long enough to be seen as one if it were".repeat(100))
        .unwrap();
    let before = fs::read(&text).unwrap();
    assert!(SqliteStore::open(&text).is_err());
    assert_eq!(fs::read(&text).unwrap(), before);
    let theirs = connect(&folder.file());
    theirs.execute_batch("CREATE TABLE rate_limits (something_else TEXT)").unwrap();
    assert!(SqliteStore::open(folder.file()).is_err());
    assert_eq!(count(&theirs, "rate_limits"), 0);
}
