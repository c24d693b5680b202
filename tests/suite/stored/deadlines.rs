//! Who is told when that there is no answer.

use super::{Slow, bucket, builder, ms, refused, since, slow::Mood};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use tower_ratelimit::{LeakyBucket, Reason, limiter::StoredKey};

type Limit = StoredKey<LeakyBucket, Slow<LeakyBucket>>;

/// A store that never answers.
fn silent() -> Slow<LeakyBucket> {
    let store = Slow::new(0);
    store.set(Mood::Hangs);
    store
}

/// A limit with a deadline of 100 ms, of the runtime in which it is called.
fn limit(store: &Slow<LeakyBucket>) -> Limit {
    let builder = builder(store, bucket(1, 10)).deadline(ms(100)).unwrap();
    builder.breaker(100, ms(1)).unwrap().build().unwrap().key("alice")
}

/// After how many milliseconds a call from now on is told so.
async fn told(limit: Limit) -> u128 {
    let start = Instant::now();
    let told = timeout(ms(1000), limit.try_acquire()).await;
    assert_eq!(refused(told.expect("told")).reason(), Reason::Unavailable);
    since(start)
}

#[tokio::test(start_paused = true)]
async fn everybody_is_told_at_the_deadline_of_its_own() {
    for at_once in [1, 2] {
        let limit = limit(&silent().at_once(at_once));
        let calls = (0..60).map(|call| {
            let limit = limit.clone();
            async move {
                sleep(ms(3 * call)).await;
                told(limit).await
            }
        });
        let told = calls.collect::<JoinSet<_>>().join_all().await;
        assert!(told.iter().all(|after| *after == 100), "{at_once} at once: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent() {
    let store = silent();
    let limit = limit(&store);
    let calls: JoinSet<_> = (0..1100).map(|_| told(limit.clone())).collect();
    assert!(calls.join_all().await.iter().all(|after| *after == 100));
    sleep(ms(5000)).await;
    // One on its own way, and as many as ride in a batch at most.
    assert_eq!(store.batches(), [1, 1024]);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Calls that are under way when this runtime stops: one by itself, the others in a batch.
async fn leave_calls(limit: &Limit) {
    for _ in 0..3 {
        tokio::spawn(told(limit.clone()));
    }
    for _ in 0..10 {
        yield_now().await;
    }
}

/// Nobody drives the task that asks.
#[test]
fn a_caller_behind_another_runtime_keeps_its_own_time() {
    let (home, elsewhere) = (runtime(), runtime());
    let limit = home.block_on(async { limit(&silent()) });
    home.block_on(leave_calls(&limit));
    assert_eq!(elsewhere.block_on(told(limit)), 100);
}

#[test]
fn a_caller_at_home_behind_another_runtime_keeps_its_own_time() {
    let (home, elsewhere) = (runtime(), runtime());
    let limit = home.block_on(async { limit(&silent()) });
    elsewhere.block_on(leave_calls(&limit));
    assert_eq!(home.block_on(told(limit)), 100);
}

/// They would take those with them whose time is kept at home.
#[test]
fn beside_a_batch_from_home_none_leaves_from_elsewhere() {
    let (home, elsewhere) = (runtime(), runtime());
    let store = silent().at_once(2);
    let limit = home.block_on(async { limit(&store) });
    home.block_on(leave_calls(&limit));
    elsewhere.block_on(leave_calls(&limit));
    assert_eq!(store.batches(), [1, 2]);
    home.block_on(async {
        assert_eq!(told(limit).await, 100);
    });
}
