//! When rows are deleted, nobody notices.

use super::{connect, count, limit};
use crate::servers::folder::Folder;
use std::sync::Arc;
use tower_ratelimit::{
    Ask, Nanos, Outcome, Rate, Strict, Take,
    store::{Answer, Batch, Order, SqliteStore, Store, StoreAsk, StoreKey},
};

const INTERVAL: Nanos = Nanos::new(100_000_000);

/// Asks for one permit for each of these keys at an instant.
async fn take(store: &SqliteStore, keys: std::ops::Range<u32>, now: Nanos) -> Vec<Answer> {
    let limit = limit("strict", Strict::new(Rate::per_second(10).unwrap()));
    let ask = StoreAsk::Ask(Ask::Take(Take::fresh(1)));
    let order = |key: u32| {
        let (limit, key) = (Arc::clone(&limit), StoreKey::new(&key));
        Order { limit, key, ask, is_with_previous: false }
    };
    let orders = keys.map(order).collect();
    store.decide(Batch::new(orders).at(now)).await.unwrap()
}

fn rows(folder: &Folder) -> u32 {
    count(&connect(&folder.file()), "rate_limits")
}

#[tokio::test]
async fn r17_the_answer_is_the_same_before_and_after_the_clean_up() {
    let (folder, start) = (Folder::new(), Nanos::new(1 << 60));
    let store = folder.open();
    take(&store, 0..100, start).await;
    // Others write, and the table is walked through, a nanosecond before its rows equal new.
    let before = start + INTERVAL - Nanos::new(1);
    take(&store, 1000..1400, before).await;
    assert_eq!(rows(&folder), 500);
    let refused = take(&store, 0..100, before).await;
    assert!(refused.iter().all(|one| one.decision.outcome == Outcome::Later(Nanos::new(1))));
    // Again at that instant. None of the first is left.
    take(&store, 2000..2400, start + INTERVAL).await;
    assert_eq!(rows(&folder), 800);
    let granted = take(&store, 0..100, start + INTERVAL).await;
    assert!(granted.iter().all(Answer::is_granted));
}

#[tokio::test]
async fn keys_that_are_not_asked_about_again_do_not_pile_up() {
    let (folder, mut now) = (Folder::new(), Nanos::new(1 << 60));
    let store = folder.open();
    // A hundred are in use at any time.
    for round in 0..200 {
        take(&store, round * 10..(round + 1) * 10, now).await;
        now = now + Nanos::new(10_000_000);
    }
    assert!(rows(&folder) <= 300, "{} rows", rows(&folder));
}
