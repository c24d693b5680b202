//! The script answers as the algorithms do, to the microsecond.

use super::{
    super::walk::{LIMITS, Random, TODAY, Walk},
    limit, order, store,
};
use crate::servers::redis::Server;
use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Nanos, Take,
    store::{Batch, MemoryStore, Order, Store, StoreAsk, StoredLimit},
};

const MICROSECOND: Nanos = Nanos::new(1000);

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

/// Calls of few kinds for permits of few keys, many of them alike in a row.
fn crowd(random: &mut Random, limit: &Arc<StoredLimit<AnyAlgorithm>>) -> Vec<Order<AnyAlgorithm>> {
    let mut orders = Vec::new();
    // Most batches are of nothing else; some have a call that needs more than they do.
    let rare = random.below(4) == 0;
    for _ in 0..=random.below(6) {
        let cost = [1, 1, 1, 2, 5, 90][random.below(6) as usize];
        let ask = match random.below(if rare { 10 } else { 7 }) {
            0..3 => StoreAsk::Reserve { cost, max_wait: Nanos::ZERO },
            3 => StoreAsk::Reserve { cost, max_wait: Nanos::new(random.below(9000)) },
            4..7 => StoreAsk::Ask(Ask::Take(Take { cost, queued: random.below(2) == 0 })),
            7 => StoreAsk::Reserve { cost, max_wait: Nanos::MAX },
            8 => StoreAsk::Ask(Ask::Charge(cost)),
            _ => StoreAsk::Reserve { cost: 0, max_wait: Nanos::ZERO },
        };
        let key = ["a", "b", "c", "d"][random.below(4) as usize];
        for _ in 0..=random.below(20) {
            orders.push(order(limit, key, ask));
        }
    }
    orders
}

#[tokio::test]
async fn crowds_of_calls_get_the_same_answers() {
    let server = Server::start().await;
    for (seed, line) in [
        "leaky bucket 1/us, capacity 40",
        "leaky bucket 3/10us, capacity 4",
        "leaky bucket 1/7us, capacity 100",
        "leaky bucket 1/min, capacity 4000000",
        "strict 1/9us",
        "token bucket 2/13us, capacity 50",
    ]
    .into_iter()
    .enumerate()
    {
        for start in [0, 1_790_000_000_000_007] {
            let (store, oracle) = (store(&server).await, MemoryStore::default());
            let mut random = Random::new(seed as u64);
            // The same limit, as it was before it was changed and after.
            let limits = [limit("limit", line), limit("limit", "leaky bucket 1/11us, capacity 30")];
            let mut now: u64 = start;
            for step in 0..150 {
                now = match random.below(6) {
                    0 => now.saturating_sub(random.below(40)),
                    1..3 => now,
                    _ => now + random.below(60),
                };
                let is_changed = line.starts_with("leaky") && random.below(8) == 0;
                let orders = crowd(&mut random, &limits[usize::from(is_changed)]);
                let at = Nanos::new(now * 1000);
                let expected = oracle.decide(Batch::new(orders.clone()).at(at)).await.unwrap();
                let answers = store.decide(Batch::new(orders.clone()).at(at)).await.unwrap();
                for (order, (answer, expected)) in orders.iter().zip(answers.iter().zip(expected)) {
                    let ask = order.ask;
                    assert_eq!(*answer, expected, "{line}: step {step} at {at:?}, {ask:?}");
                }
                assert_eq!(answers.len(), orders.len());
            }
        }
    }
}
