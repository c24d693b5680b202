//! Many calls that are alike, which servers answer by quick ways of their own: as the store in memory
//! does, to the microsecond.

use super::random::Random;
use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Nanos, Take,
    algorithm::Scripted,
    store::{Batch, MemoryStore, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

/// Of the kind that has a quick way, and of some that have not.
pub(super) const LIMITS: [&str; 6] = [
    "leaky bucket 1/us, capacity 40",
    "leaky bucket 3/10us, capacity 4",
    "leaky bucket 1/7us, capacity 100",
    "leaky bucket 1/min, capacity 4000000",
    "strict 1/9us",
    "token bucket 2/13us, capacity 50",
];

/// The beginning of the time line, and today.
pub(super) const STARTS: [u64; 2] = [0, 1_790_000_000_000_007];

fn limit(line: &str) -> Arc<StoredLimit<AnyAlgorithm>> {
    let algorithm = line.parse::<AnyAlgorithm>().unwrap().in_microseconds().unwrap();
    Arc::new(StoredLimit { name: "limit".into(), algorithm })
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
            orders.push(Order {
                limit: Arc::clone(limit),
                key: StoreKey::new(key),
                ask,
                is_with_previous: false,
            });
        }
    }
    orders
}

/// What a leaky bucket becomes now and then: one with another interval, one with another capacity only.
fn changed(line: &str) -> Vec<Arc<StoredLimit<AnyAlgorithm>>> {
    match line.split_once(", capacity") {
        Some((rate, _)) if line.starts_with("leaky") => {
            vec![limit("leaky bucket 1/11us, capacity 30"), limit(&format!("{rate}, capacity 9"))]
        }
        _ => Vec::new(),
    }
}

/// Asks a limit in crowds, from a microsecond on, as it was before it was changed and after.
pub(super) async fn agree(store: impl Store<AnyAlgorithm>, line: &str, start: u64, seed: u64) {
    let oracle = MemoryStore::default();
    let mut random = Random::new(seed);
    let (usual, changed) = (limit(line), changed(line));
    let mut now = start;
    for step in 0..150 {
        now = match random.below(6) {
            0 => now.saturating_sub(random.below(40)),
            1..3 => now,
            _ => now + random.below(60),
        };
        let limit = changed.get(random.below(16) as usize).unwrap_or(&usual);
        let orders = crowd(&mut random, limit);
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
