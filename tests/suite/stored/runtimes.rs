//! Limiters that are used in several runtimes, and on one thread.

use super::{Slow, bucket, limiter, ms};
use std::{
    future::poll_fn,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    task::{JoinSet, yield_now},
    time::sleep,
};
use tower_ratelimit::{
    LeakyBucket, OnFailure, Quota, StoredLimiter,
    limiter::StoredKey,
    store::{Answer, Batch, MemoryStore, Store, StoreError},
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
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

/// A store that answers everything when it is told to.
#[derive(Clone, Default)]
struct Gated {
    store: MemoryStore<Quota>,
    opens: Arc<Notify>,
}

impl Store<Quota> for Gated {
    async fn decide(&self, batch: Batch<Quota>) -> Result<Vec<Answer>, StoreError> {
        self.opens.notified().await;
        self.store.decide(batch).await
    }

    fn batches_at_once(&self) -> usize {
        2
    }
}

/// Those of the other batch are not kept waiting for a batch that does not come.
#[tokio::test(start_paused = true)]
async fn callers_who_do_not_ask_again_hold_up_nobody_who_was_answered_with_them() {
    let store = Gated::default();
    let limit = Quota::new(1000).unwrap();
    let limiter = StoredLimiter::builder("api", store.clone(), limit, OnFailure::Refuse);
    let limiter = limiter.build().unwrap();
    let passes = Arc::new(AtomicU64::new(0));
    let calls = (0..41).map(|_| {
        let (limit, passes) = (limiter.key("alice"), Arc::clone(&passes));
        async move {
            limit.try_acquire().await.unwrap();
            passes.load(Ordering::Relaxed)
        }
    });
    let calls: JoinSet<_> = calls.collect();
    for _ in 0..10 {
        yield_now().await;
    }
    // There is always something to run, so that nothing comes by itself that waits for a pause.
    let busy = Arc::clone(&passes);
    let busy = tokio::spawn(async move {
        loop {
            busy.fetch_add(1, Ordering::Relaxed);
            let mut has_let = false;
            poll_fn(|cx| match mem::replace(&mut has_let, true) {
                true => Poll::Ready(()),
                false => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
        }
    });
    store.opens.notify_waiters();
    let answered = calls.join_all().await;
    busy.abort();
    let (first, last) = (answered.iter().min().unwrap(), answered.iter().max().unwrap());
    assert!(last - first <= 3, "{answered:?}");
}
