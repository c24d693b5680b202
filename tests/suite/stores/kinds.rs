//! Limits of two kinds under one name, as where a program was changed and an older one still runs.

use super::{everywhere::Everywhere, walk::TODAY};
use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Grant, Take,
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

fn about(grant: Grant) -> [StoreAsk; 4] {
    let [renew, back, end] =
        [Ask::Renew, Ask::GiveBack, Ask::End].map(|ask| StoreAsk::Ask(ask(grant)));
    [renew, back, end, StoreAsk::Return(grant)]
}

/// Each of these in a batch of its own, or all in one.
async fn answers(
    store: &Everywhere,
    orders: Vec<Order<AnyAlgorithm>>,
    is_one: bool,
) -> Vec<Answer> {
    let size = if is_one { orders.len() } else { 1 };
    let mut answers = Vec::new();
    for batch in orders.chunks(size) {
        let batch = Batch::new(batch.to_vec()).at(TODAY);
        let told = format!("{batch:?}");
        answers
            .extend(store.decide(batch).await.unwrap_or_else(|error| panic!("{told}: {error:?}")));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_kind_of_limit_granted_is_neither_given_back_to_another_nor_renewed_there() {
    let (store, _running) = Everywhere::start().await;
    let grant = Grant { cost: 1, at: TODAY };
    for (before, after) in LINES.iter().flat_map(|before| LINES.map(|after| (*before, after))) {
        if before == after {
            continue;
        }
        let [old, new] = [before, after].map(limit);
        for (ask, is_one) in about(grant).into_iter().flat_map(|ask| [(ask, false), (ask, true)]) {
            let key = StoreKey::new(&format!("{before}, {after}, {ask:?}, {is_one}"));
            let asks = [(&old, take(1)), (&new, take(3)), (&old, ask), (&new, take(1))];
            let order = |(limit, ask): (&Arc<_>, _)| Order {
                limit: Arc::clone(limit),
                key: key.clone(),
                ask,
                is_with_previous: false,
            };
            let answers = answers(&store, asks.map(order).to_vec(), is_one).await;
            let granted: Vec<_> = answers.iter().map(Answer::is_granted).collect();
            assert_eq!(granted[..2], [true, true], "{key:?}");
            assert!(!granted[3], "from {before} to {after}, {ask:?}: the new one is used up");
        }
    }
}
