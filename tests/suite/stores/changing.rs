//! Limits that are changed while a store keeps their states: the same for every store.

use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Nanos, Outcome, Take,
    store::{Batch, MemoryStore, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

const SLOW: [&str; 3] =
    ["leaky bucket 1/hour, capacity 1", "strict 1/hour", "burst compensating 1/hour"];
const FAST: [&str; 3] = ["leaky bucket 10/s, capacity 1", "strict 10/s", "burst compensating 10/s"];

/// After a second, so that nothing is at the beginning of the time line.
fn ms(milliseconds: u64) -> Nanos {
    Nanos::new((1000 + milliseconds) * 1_000_000)
}

async fn ask(
    store: &impl Store<AnyAlgorithm>,
    name: &str,
    line: &str,
    now: Nanos,
    ask: Ask,
) -> Outcome {
    let limit = StoredLimit { name: name.into(), algorithm: line.parse().unwrap() };
    let (key, ask) = (StoreKey::new("alice"), StoreAsk::Ask(ask));
    let order = Order { limit: Arc::new(limit), key, ask, is_with_previous: false };
    let answers = store.decide(Batch::new(vec![order]).at(now)).await.unwrap();
    answers[0].decision.outcome
}

/// How long a call has to wait that comes at this instant.
async fn wait(store: &impl Store<AnyAlgorithm>, name: &str, line: &str, now: Nanos) -> Nanos {
    match ask(store, name, line, now, Ask::Take(Take::fresh(1))).await {
        Outcome::Granted(_) => Nanos::ZERO,
        Outcome::Later(wait) => wait,
        other => panic!("{other:?}"),
    }
}

/// Nobody has to wait as long as a limit that was raised would have had it, though nobody is let
/// through for a while, and what is outstanding stays so when one is lowered.
pub(super) async fn change(store: impl Store<AnyAlgorithm>) {
    for (slow, fast) in SLOW.into_iter().zip(FAST) {
        let raised = format!("{fast}, raised");
        assert_eq!(wait(&store, &raised, slow, ms(0)).await, Nanos::ZERO);
        for passed in [10, 40, 99, 100] {
            let left = Nanos::new((100 - passed) * 1_000_000);
            assert_eq!(wait(&store, &raised, fast, ms(passed)).await, left, "{fast} at {passed}");
        }
        let lowered = format!("{slow}, lowered");
        assert_eq!(wait(&store, &lowered, fast, ms(0)).await, Nanos::ZERO);
        let left = Nanos::new((3_600_000 - 10) * 1_000_000);
        assert_eq!(wait(&store, &lowered, slow, ms(10)).await, left, "{slow}");
        // What is outstanding is ten intervals, of which the old ones would go on to pass.
        let [old, new] = ["1/100ms", "1/60ms"].map(|rate| slow.replace("1/hour", rate));
        let indebted = format!("{slow}, indebted");
        assert_eq!(wait(&store, &indebted, &old, ms(0)).await, Nanos::ZERO);
        ask(&store, &indebted, &old, ms(0), Ask::Charge(9)).await;
        for passed in [10, 150, 450, 599, 600] {
            let left = Nanos::new((600 - passed) * 1_000_000);
            assert_eq!(wait(&store, &indebted, &new, ms(passed)).await, left, "{new} at {passed}");
        }
    }
}

#[tokio::test]
async fn a_changed_limit_holds_in_memory() {
    change(MemoryStore::default()).await;
}
