//! Limiters that are used in several runtimes, and on one thread.

use super::{Slow, bucket, limiter, ms};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::BTreeSet,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
    task::{JoinSet, yield_now},
    time::sleep,
};
use tower_ratelimit::{
    LeakyBucket, OnFailure, Quota, StoredLimiter,
    limiter::StoredKey,
    store::{Answer, Batch, MemoryStore, Store, StoreError},
};

pub(super) fn runtime() -> Runtime {
    // Whoever waits outside of tasks is looked at after each of them.
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).event_interval(1).build().unwrap()
}

type Limit = StoredKey<LeakyBucket, Slow<LeakyBucket>>;

async fn two_pass(limit: &Limit) {
    let (one, other) = tokio::join!(limit.try_acquire(), limit.try_acquire());
    one.unwrap();
    other.unwrap();
}

/// Its driver is about to end when it does, or waits for its batch.
#[test]
fn a_runtime_that_stops_for_a_while_holds_up_nobody_in_others() {
    for leaves_calls in [false, true] {
        let [home, stops, other] = [(); 3].map(|()| runtime());
        let limiter = home.block_on(async { limiter(&Slow::new(10), bucket(1, 100)) });
        let limit = limiter.key("alice");
        stops.block_on(two_pass(&limit));
        if leaves_calls {
            stops.block_on(async {
                for _ in 0..30 {
                    let limit = limit.clone();
                    tokio::spawn(async move { limit.try_acquire().await.map(drop) });
                }
                sleep(ms(5)).await;
            });
        }
        for runtime in [&home, &other, &home, &other] {
            runtime.block_on(two_pass(&limit));
        }
        stops.block_on(two_pass(&limit));
    }
}

/// A store that answers nothing until it is told to.
#[derive(Clone)]
pub(super) struct Gated {
    store: MemoryStore<Quota>,
    opens: Arc<watch::Sender<bool>>,
}

impl Gated {
    pub(super) fn new() -> Self {
        Self { store: MemoryStore::default(), opens: Arc::new(watch::Sender::new(false)) }
    }

    pub(super) fn open(&self) {
        self.opens.send_replace(true);
    }
}

impl Store<Quota> for Gated {
    async fn decide(&self, batch: Batch<Quota>) -> Result<Vec<Answer>, StoreError> {
        self.opens.subscribe().wait_for(|is_open| *is_open).await.map_err(StoreError::new)?;
        self.store.decide(batch).await
    }

    fn batches_at_once(&self) -> usize {
        2
    }
}

/// A thousand permits of it.
pub(super) fn gated(store: &Gated) -> StoredKey<Quota, Gated> {
    let limit = Quota::new(1000).unwrap();
    let limiter = StoredLimiter::builder("api", store.clone(), limit, OnFailure::Refuse);
    limiter.build().unwrap().key("alice")
}

/// One by itself and two batches of twenty.
const CALLS: usize = 41;

/// Counts how often everything that is ready was run. There is always something, so that nothing comes by itself
/// that waits for a pause.
fn count(passes: Arc<AtomicU64>) {
    tokio::spawn(async move {
        passes.fetch_add(1, Ordering::Relaxed);
        count(passes);
    });
}

/// Those of the other batch are not kept waiting for a batch that does not come.
#[tokio::test(start_paused = true)]
async fn callers_who_do_not_ask_again_hold_up_nobody_who_was_answered_with_them() {
    let store = Gated::new();
    let limit = gated(&store);
    let passes = Arc::new(AtomicU64::new(0));
    let calls = (0..CALLS).map(|_| {
        let (limit, passes) = (limit.clone(), Arc::clone(&passes));
        async move {
            limit.try_acquire().await.unwrap();
            passes.load(Ordering::Relaxed)
        }
    });
    let calls: JoinSet<_> = calls.collect();
    run_others(10).await;
    count(Arc::clone(&passes));
    store.open();
    let answered = calls.join_all().await;
    let (first, last) = (answered.iter().min().unwrap(), answered.iter().max().unwrap());
    assert!(last - first <= 3, "{answered:?}");
}

pub(super) async fn run_others(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// The drivers are dropped with it, whatever they are at. What was granted has a caller, or is not taken.
#[test]
fn a_runtime_that_ends_at_any_step_loses_no_permits() {
    let mut passed = BTreeSet::new();
    for steps in 0..100 {
        let ends = runtime();
        let store = Gated::new();
        let limit = ends.block_on(async { gated(&store) });
        let mut calls: FuturesUnordered<_> = (0..CALLS).map(|_| limit.try_acquire()).collect();
        ends.block_on(async {
            tokio::select! {
                _ = calls.next() => unreachable!("nothing is answered"),
                () = run_others(10) => {}
            }
            store.open();
            let mut left = steps;
            poll_fn(|cx| match left {
                0 => Poll::Ready(()),
                _ => {
                    left -= 1;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
        });
        drop(ends);
        runtime().block_on(async {
            let permits: Vec<_> = calls.filter_map(async |call| call.ok()).collect().await;
            let left = limit.peek(0).await.unwrap().remaining;
            assert_eq!(left as usize, 1000 - permits.len(), "after {steps} steps");
            passed.insert(permits.len());
        });
    }
    // None of the batches, or both of them.
    assert!(passed.contains(&1) && passed.contains(&CALLS), "{passed:?}");
}
