//! A file in trouble.

use super::super::{
    DEADLINE,
    load::{Answers, under_load},
    ms,
};
use crate::servers::folder::Folder;
use rusqlite::Connection;
use std::time::Duration;
use tower_ratelimit::{OnFailure, Quota, Reason, StoredLimiter, store::SqliteStore};

/// Somebody else holds the file for a while, for which this store waits this long.
async fn held(busy_timeout: Duration) {
    let folder = Folder::new();
    let store = SqliteStore::builder().busy_timeout(busy_timeout).open(folder.file()).unwrap();
    under_load(store, Answers::Come, async |load| {
        let other = Connection::open(folder.file()).unwrap();
        other.busy_timeout(DEADLINE * 10).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        load.fails().await;
        other.execute_batch("COMMIT").unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_held_by_somebody_for_longer_than_is_waited_for_it() {
    held(ms(30)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_held_by_somebody_for_longer_than_the_deadline() {
    held(DEADLINE * 10).await;
}

#[tokio::test]
async fn a_full_disk_refuses_those_who_need_room_until_there_is_some() {
    let folder = Folder::new();
    let store = SqliteStore::builder().max_bytes(16 * 4096).open(folder.file()).unwrap();
    let two = Quota::new(2).unwrap();
    let limiter = StoredLimiter::builder("two", store, two, OnFailure::Refuse);
    let limiter = limiter.breaker(u32::MAX, ms(1)).unwrap().build().unwrap();
    let mut homeless = 0_u32;
    while limiter.key(&homeless).try_acquire().await.is_ok() {
        homeless += 1;
    }
    for _ in 0..10 {
        let refusal = limiter.key(&homeless).acquire().await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::Unavailable);
        assert_eq!(limiter.key(&homeless).peek(0).await.unwrap().remaining, 2);
    }
    limiter.key(&0_u32).acquire().await.unwrap();
    assert_eq!(limiter.key(&0_u32).acquire().await.unwrap_err().reason(), Reason::Exhausted);
    for key in 0..homeless {
        limiter.key(&key).reset().await.unwrap();
    }
    limiter.key(&homeless).try_acquire_many(2).await.unwrap();
    let refusal = limiter.key(&homeless).try_acquire().await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Exhausted);
}
