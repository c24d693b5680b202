//! Limits that are changed while a store keeps their states: the same for every store.

use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Grant, Nanos, Outcome, Take,
    store::{Answer, Batch, MemoryStore, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

const SLOW: [&str; 3] =
    ["leaky bucket 1/hour, capacity 1", "strict 1/hour", "burst compensating 1/hour"];
const FAST: [&str; 3] = ["leaky bucket 10/s, capacity 1", "strict 10/s", "burst compensating 10/s"];

const ALL_OF_1000: Ask = Ask::Take(Take::fresh(1000));
const ALL_OF_100: Ask = Ask::Take(Take::fresh(100));
const DEBT: Ask = Ask::Charge(50);

/// A limit, what is asked of it at once, the limit that it becomes 10 ms later, and how many
/// milliseconds the next call waits then.
const CUT: [(&str, Ask, &str, u64); 14] = [
    (
        "leaky bucket 1000/hour, capacity 1000",
        ALL_OF_1000,
        "leaky bucket 10/hour, capacity 10",
        360_000,
    ),
    ("leaky bucket 1/s, capacity 100", ALL_OF_100, "leaky bucket 1/s, capacity 5", 1000),
    ("leaky bucket 1/s, capacity 5", DEBT, "leaky bucket 1/s, capacity 10", 1000),
    ("leaky bucket 1/s, capacity 5", DEBT, "leaky bucket 1/2s, capacity 5", 2000),
    ("leaky bucket 1/s, capacity 4", DEBT, "leaky bucket 1/2s, capacity 2", 2000),
    (
        "token bucket 1000/hour, capacity 1000",
        ALL_OF_1000,
        "token bucket 10/hour, capacity 10",
        3_599_990,
    ),
    ("token bucket 1/s, capacity 100", ALL_OF_100, "token bucket 1/s, capacity 5", 990),
    ("token bucket 1/s, capacity 5", DEBT, "token bucket 1/s, capacity 10", 990),
    ("token bucket 5/10s, capacity 20", DEBT, "token bucket 10/10s, capacity 20", 9990),
    (
        "token bucket 1/s, capacity 9, initial 1",
        DEBT,
        "token bucket 1/s, capacity 5, initial 1",
        990,
    ),
    ("fixed window 1000/hour", ALL_OF_1000, "fixed window 10/hour", 3_599_990),
    ("fixed window 10/s", DEBT, "fixed window 5/s", 990),
    ("fixed window 10/s, aligned to 0s", DEBT, "fixed window 5/s, aligned to 0s", 990),
    // What calls take of these is bounded by nothing.
    ("strict 1/s", DEBT, "strict 1/2s", 99_990),
];

/// A limit with a debt of 50, and how many milliseconds the next call waits.
const KEPT: [(&str, u64); 4] = [
    ("leaky bucket 1/s, capacity 5", 46_000),
    ("token bucket 1/s, capacity 5", 46_000),
    ("fixed window 10/s", 5000),
    ("strict 1/s", 50_000),
];

/// After a second, so that nothing is at the beginning of the time line.
fn ms(milliseconds: u64) -> Nanos {
    Nanos::new((1000 + milliseconds) * 1_000_000)
}

/// Asks a limit in one batch.
async fn ask_all<const N: usize>(
    store: &impl Store<AnyAlgorithm>,
    name: &str,
    line: &str,
    now: Nanos,
    asks: [StoreAsk; N],
) -> [Answer; N] {
    let limit = Arc::new(StoredLimit { name: name.into(), algorithm: line.parse().unwrap() });
    let order = |ask| Order {
        limit: Arc::clone(&limit),
        key: StoreKey::new("alice"),
        ask,
        is_with_previous: false,
    };
    let orders = asks.map(order).into();
    store.decide(Batch::new(orders).at(now)).await.unwrap().try_into().unwrap()
}

async fn ask(
    store: &impl Store<AnyAlgorithm>,
    name: &str,
    line: &str,
    now: Nanos,
    ask: Ask,
) -> Outcome {
    let [answer] = ask_all(store, name, line, now, [StoreAsk::Ask(ask)]).await;
    answer.decision.outcome
}

/// How long a call has to wait that comes at this instant.
async fn wait(store: &impl Store<AnyAlgorithm>, name: &str, line: &str, now: Nanos) -> Nanos {
    match ask(store, name, line, now, Ask::Take(Take::fresh(1))).await {
        Outcome::Granted(_) => Nanos::ZERO,
        Outcome::Later(wait) => wait,
        other => panic!("{other:?}"),
    }
}

/// All that has to hold of limits that are changed.
pub(crate) async fn change(store: impl Store<AnyAlgorithm>) {
    goes_by_the_new_interval(&store).await;
    cuts_what_the_new_limit_could_not_have_produced(&store).await;
    keeps_the_debts_of_a_limit_that_stays(&store).await;
    keeps_reservations_where_they_are(&store).await;
    notes_the_change_though_a_peek_came_first(&store).await;
}

/// Nobody has to wait as long as a limit that was raised would have had it, though nobody is let
/// through for a while, and what is outstanding stays so when one is lowered.
async fn goes_by_the_new_interval(store: &impl Store<AnyAlgorithm>) {
    for (slow, fast) in SLOW.into_iter().zip(FAST) {
        let raised = format!("{fast}, raised");
        assert_eq!(wait(store, &raised, slow, ms(0)).await, Nanos::ZERO);
        for passed in [10, 40, 99, 100] {
            let left = Nanos::new((100 - passed) * 1_000_000);
            assert_eq!(wait(store, &raised, fast, ms(passed)).await, left, "{fast} at {passed}");
        }
        let lowered = format!("{slow}, lowered");
        assert_eq!(wait(store, &lowered, fast, ms(0)).await, Nanos::ZERO);
        let left = Nanos::new((3_600_000 - 10) * 1_000_000);
        assert_eq!(wait(store, &lowered, slow, ms(10)).await, left, "{slow}");
        // What is outstanding is ten intervals, of which the old ones would go on to pass. Of a bucket
        // that holds one they are cut to one, counted from the change.
        let [old, new] = ["1/100ms", "1/60ms"].map(|rate| slow.replace("1/hour", rate));
        let ends = if slow.starts_with("leaky") { 70 } else { 600 };
        let indebted = format!("{slow}, indebted");
        assert_eq!(wait(store, &indebted, &old, ms(0)).await, Nanos::ZERO);
        ask(store, &indebted, &old, ms(0), Ask::Charge(9)).await;
        for passed in [10, 30, ends / 2, ends - 1, ends] {
            let left = Nanos::new((ends - passed) * 1_000_000);
            assert_eq!(wait(store, &indebted, &new, ms(passed)).await, left, "{new} at {passed}");
        }
    }
}

async fn cuts_what_the_new_limit_could_not_have_produced(store: &impl Store<AnyAlgorithm>) {
    for (before, asked, after, waits) in CUT {
        let name = format!("{before}, cut to {after}");
        ask(store, &name, before, ms(0), asked).await;
        // Looking changes nothing.
        ask(store, &name, after, ms(5), Ask::Peek(Take::fresh(1))).await;
        for passed in [0, 1, waits / 2, waits - 1, waits] {
            let left = Nanos::new((waits - passed) * 1_000_000);
            assert_eq!(wait(store, &name, after, ms(10 + passed)).await, left, "{name}: {passed}");
        }
    }
}

async fn keeps_the_debts_of_a_limit_that_stays(store: &impl Store<AnyAlgorithm>) {
    for (line, waits) in KEPT {
        let name = format!("{line}, kept");
        ask(store, &name, line, ms(0), DEBT).await;
        for passed in [0, 1, waits / 2, waits - 1, waits] {
            let left = Nanos::new((waits - passed) * 1_000_000);
            assert_eq!(wait(store, &name, line, ms(passed)).await, left, "{line}: {passed}");
        }
    }
}

/// What was promised comes as promised, and what comes behind it by the new limit.
async fn keeps_reservations_where_they_are(store: &impl Store<AnyAlgorithm>) {
    let reserve = StoreAsk::Reserve { cost: 1, max_wait: Nanos::MAX };
    for (before, after, next) in [
        ("leaky bucket 1/s, capacity 3", "leaky bucket 1/10s, capacity 2", 12_000),
        ("token bucket 1/s, capacity 3", "token bucket 1/10s, capacity 2", 12_000),
    ] {
        let name = format!("{before}, reserved");
        ask(store, &name, before, ms(0), Ask::Take(Take::fresh(3))).await;
        let [first, second] = ask_all(store, &name, before, ms(0), [reserve; 2]).await;
        assert_eq!([first.wait, second.wait], [1000, 2000].map(|wait| ms(wait) - ms(0)));
        let [behind] = ask_all(store, &name, after, ms(10), [reserve]).await;
        assert_eq!(behind.wait, ms(next) - ms(10), "{after}");
        // The one that goes back is free where it was.
        let promised = Grant { cost: 1, at: ms(1000) };
        let [_, free] =
            ask_all(store, &name, after, ms(20), [StoreAsk::Return(promised), reserve]).await;
        assert_eq!(free.decision.grant(), Some(promised), "{after}");
    }
}

/// In one batch, where a store may go on with what it has loaded for the peek.
async fn notes_the_change_though_a_peek_came_first(store: &impl Store<AnyAlgorithm>) {
    for (before, asked, after, waits) in CUT {
        let name = format!("{before}, looked at and cut to {after}");
        ask(store, &name, before, ms(0), asked).await;
        let take = Take::fresh(1);
        let asks = [Ask::Peek(take), Ask::Take(Take::fresh(0)), Ask::Take(take)].map(StoreAsk::Ask);
        ask_all(store, &name, after, ms(10), asks).await;
        let left = Nanos::new((waits - waits / 2) * 1_000_000);
        let then = wait(store, &name, after, ms(10 + waits / 2)).await;
        assert_eq!(then, left, "{name}");
    }
}

#[tokio::test]
async fn a_changed_limit_holds_in_memory() {
    change(MemoryStore::default()).await;
}
