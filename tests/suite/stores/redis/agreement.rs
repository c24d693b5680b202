//! The script answers as the algorithms do, to the microsecond.

use super::{
    super::{
        crowds,
        walk::{CHANGING, LIMITS, MICROSECOND, TODAY, Walk, agree_while_changed},
    },
    limit, order, store, take,
};
use crate::servers::redis::Server;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Grant, Nanos,
    store::{Batch, MemoryStore, Store, StoreAsk},
};

async fn agree(
    mut store: impl Store<AnyAlgorithm>,
    line: &str,
    start: Nanos,
    seed: usize,
    steps: u32,
) {
    let limits = [("first", line), ("second", LIMITS[seed % LIMITS.len()])];
    let mut walk = Walk::new(&store, &limits, start, MICROSECOND, seed as u64);
    walk.agree(&mut store, steps, async |_, _, _| false).await;
}

#[tokio::test]
async fn the_same_asks_at_the_same_times_get_the_same_answers() {
    let server = Server::start().await;
    for (seed, line) in LIMITS.into_iter().enumerate() {
        // From the beginning of the time line, and today.
        for (start, offset) in [(Nanos::ZERO, 0), (TODAY, 100)] {
            agree(store(&server).await, line, start, seed + offset, 400).await;
        }
    }
}

#[tokio::test]
async fn limits_that_become_others_of_their_kind_get_the_same_answers() {
    let server = Server::start().await;
    for (seed, lines) in CHANGING.into_iter().enumerate() {
        for seed in 20 * seed..20 * seed + 9 {
            agree_while_changed(store(&server).await, &lines, MICROSECOND, seed).await;
        }
        let optimistic = store(&server).await.optimistic();
        agree_while_changed(optimistic, &lines, MICROSECOND, seed).await;
    }
}

#[tokio::test]
async fn long_logs_are_read_and_written_at_their_ends() {
    let server = Server::start().await;
    // Entries come and go by the hundred, many times over.
    let lines = ["sliding window 900/9ms", "concurrency 500, lease 5ms", "serialized 300/1500us"];
    for (seed, line) in lines.into_iter().enumerate() {
        agree(store(&server).await, line, TODAY, 1000 + seed, 1500).await;
    }
}

#[tokio::test]
async fn what_is_decided_here_and_kept_there_gets_the_same_answers() {
    let server = Server::start().await;
    for (seed, line) in LIMITS.into_iter().enumerate() {
        agree(store(&server).await.optimistic(), line, TODAY, 200 + seed, 100).await;
    }
}

#[tokio::test]
async fn crowds_of_calls_get_the_same_answers() {
    let server = Server::start().await;
    for (seed, line) in crowds::LIMITS.into_iter().enumerate() {
        for start in crowds::STARTS {
            crowds::agree(store(&server).await, line, start, seed as u64).await;
        }
    }
}

/// Those that come after it in its batch would have found an entry of it in the log.
#[tokio::test]
async fn a_renewal_of_nothing_changes_nothing() {
    let server = Server::start().await;
    let (store, memory) = (store(&server).await, MemoryStore::default());
    let limit = limit("limit", "sliding window 5/s");
    let then = TODAY + Nanos::new(300_000_000);
    let nothing = StoreAsk::Ask(Ask::Renew(Grant { cost: 0, at: TODAY }));
    for (now, asks) in [(TODAY, [take(1), take(0)]), (then, [nothing, take(0)])] {
        let batch = || Batch::new(asks.map(|ask| order(&limit, "key", ask)).into()).at(now);
        let expected = memory.decide(batch()).await.unwrap();
        assert_eq!(store.decide(batch()).await.unwrap(), expected);
    }
}
