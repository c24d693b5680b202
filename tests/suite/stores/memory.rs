//! The store in this process.

use super::rate;
use std::{sync::Arc, time::Duration};
use tower_ratelimit::{
    Algorithm, Ask, LeakyBucket, ManualClock, Strict, Take,
    store::{Answer, Batch, MemoryStore, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

fn limit<A>(name: &str, algorithm: A) -> Arc<StoredLimit<A>> {
    Arc::new(StoredLimit { name: name.into(), algorithm })
}

async fn take<A: Algorithm>(
    store: &MemoryStore<A>,
    limit: &Arc<StoredLimit<A>>,
    key: u32,
) -> Answer {
    let order = Order {
        limit: Arc::clone(limit),
        key: StoreKey::new(&key),
        ask: StoreAsk::Ask(Ask::Take(Take::fresh(1))),
        is_with_previous: false,
    };
    let answers = store.decide(Batch::new(vec![order])).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers[0]
}

fn records<A: Algorithm>(store: &MemoryStore<A>) -> usize {
    let text = format!("{store:?}");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test]
async fn what_equals_new_is_forgotten_in_passing() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let limit = limit("strict", Strict::new(rate(1, 1_000)));
    for key in 0..100_000 {
        assert!(take(&store, &limit, key).await.is_granted());
        clock.advance(Duration::from_nanos(10));
    }
    assert!(records(&store) <= 1024, "{} records", records(&store));
}

#[tokio::test]
async fn what_does_not_equal_new_is_never_forgotten() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let long = limit("long", LeakyBucket::new(rate(1, 9_999)).capacity(1).unwrap());
    let short = limit("short", LeakyBucket::new(rate(1, 1)).capacity(1).unwrap());
    for key in 0..10_000 {
        assert!(take(&store, &long, key).await.is_granted());
        assert!(take(&store, &short, key).await.is_granted());
        // The oldest that is not new, and one that is.
        assert!(!take(&store, &long, key.saturating_sub(3_332)).await.is_granted());
        clock.advance(Duration::from_nanos(3));
        assert!(take(&store, &short, key).await.is_granted());
    }
}

#[tokio::test]
async fn clones_keep_the_same_records_and_limits_of_other_names_do_not() {
    let store = MemoryStore::with_clock(ManualClock::new());
    let [one, other] = ["one", "other"].map(|name| limit(name, Strict::new(rate(1, 10))));
    assert!(take(&store, &one, 1).await.is_granted());
    assert!(!take(&store.clone(), &one, 1).await.is_granted());
    assert!(take(&store, &other, 1).await.is_granted());
    assert!(!take(&store, &limit("one", Strict::new(rate(1, 10))), 1).await.is_granted());
}
