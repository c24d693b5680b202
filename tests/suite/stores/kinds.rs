//! Limits of two kinds under one name, as where a program was changed and an older one still runs.

use super::{everywhere::Everywhere, walk::TODAY};
use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Grant, Outcome, Take,
    store::{Answer, Batch, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

/// Of each way in which records are kept, all of which three calls use up.
const LINES: [&str; 4] =
    ["quota 3", "leaky bucket 1/s, capacity 3", "sliding window 3/m", "concurrency 3, lease 10s"];

fn limit(line: &str) -> Arc<StoredLimit<AnyAlgorithm>> {
    let algorithm = line.parse().unwrap();
    Arc::new(StoredLimit { name: "changed".into(), algorithm })
}

fn take(cost: u32) -> StoreAsk {
    StoreAsk::Ask(Ask::Take(Take::fresh(cost)))
}

/// What changes nothing of a record of another kind: what is about a grant of its own, looks, and refusals.
fn asks() -> [StoreAsk; 6] {
    let grant = Grant { cost: 1, at: TODAY };
    let about = [Ask::Renew, Ask::GiveBack, Ask::End].map(|ask| StoreAsk::Ask(ask(grant)));
    let [renew, back, end] = about;
    let peek = StoreAsk::Ask(Ask::Peek(Take::fresh(1)));
    [renew, back, end, StoreAsk::Return(grant), peek, take(4)]
}

/// So many of these in each batch.
async fn answers(store: &Everywhere, orders: &[Order<AnyAlgorithm>], size: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    for batch in orders.chunks(size) {
        let decided = store.decide(Batch::new(batch.to_vec()).at(TODAY)).await;
        answers.extend(decided.unwrap_or_else(|error| panic!("{batch:?}: {error:?}")));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_kind_of_limit_granted_is_neither_given_back_to_another_nor_renewed_there() {
    let (store, _running) = Everywhere::start().await;
    for (before, after) in LINES.iter().flat_map(|before| LINES.map(|after| (*before, after))) {
        if before == after {
            continue;
        }
        let [old, new] = [before, after].map(limit);
        for (ask, size) in asks().into_iter().flat_map(|ask| [1, 2, 4].map(|size| (ask, size))) {
            let key = StoreKey::new(&format!("{before}, {after}, {ask:?}, {size}"));
            let asks = [(&old, take(1)), (&new, take(3)), (&old, ask), (&new, take(1))];
            let orders = asks.map(|(limit, ask)| Order {
                limit: Arc::clone(limit),
                key: key.clone(),
                ask,
                is_with_previous: false,
            });
            let answers = answers(&store, &orders, size).await;
            let granted: Vec<_> = answers.iter().map(Answer::is_granted).collect();
            let told = format!("from {before} to {after}, {ask:?}, {size} in a batch");
            assert_eq!(granted[..2], [true, true], "{told}");
            assert!(!granted[3], "{told}: the new one is used up");
            // Whoever holds permits has lost them.
            if matches!(ask, StoreAsk::Ask(Ask::Renew(_))) {
                assert_eq!(answers[2].decision.outcome, Outcome::InUse(None), "{told}");
            }
        }
    }
}
