//! Whoever began a batch goes away: the others get their answers, and nobody is charged twice.

use super::{
    Slow, limiter, ms,
    runtimes::{Gated, gated, run_others, runtime},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{fmt, future::poll_fn, sync::Arc, task::Poll};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    OnFailure, Quota, StoredLimiter,
    store::{Answer, Batch, MemoryStore, Store, StoreError},
};

const PERMITS: u32 = 1000;

/// The first is on its own way, the second has made the driver of those behind, and the third rides with them.
#[tokio::test(start_paused = true)]
async fn those_who_ride_with_a_caller_who_goes_away_are_answered() {
    for goes in 0..3 {
        // Before it is sent, on both halves of its way, and when it was answered.
        for after in 0..=35 {
            for at_once in [1, 2] {
                let store = Slow::new(10).at_once(at_once);
                let limit = limiter(&store, Quota::new(PERMITS).unwrap()).key("alice");
                let mut first = [(); 3].map(|()| Some(task::spawn(limit.try_acquire())));
                for call in first.iter_mut().flatten() {
                    assert_pending!(call.poll());
                }
                let mut others = JoinSet::new();
                for _ in 0..20 {
                    let limit = limit.clone();
                    others.spawn(async move { limit.try_acquire().await.map(drop) });
                }
                sleep(ms(after)).await;
                first[goes] = None;
                let mut admitted = 0;
                for call in first.into_iter().flatten() {
                    call.await.unwrap();
                    admitted += 1;
                }
                for call in others.join_all().await {
                    call.unwrap();
                    admitted += 1;
                }
                sleep(ms(100)).await;
                let left = limit.peek(0).await.unwrap().remaining;
                assert_eq!((admitted, left), (22, PERMITS - 22), "{goes} goes after {after} ms");
            }
        }
    }
}

/// Polls all of these once.
async fn begin<F: Future<Output: fmt::Debug>>(calls: &mut FuturesUnordered<F>) {
    poll_fn(|cx| match calls.poll_next_unpin(cx) {
        Poll::Ready(Some(answered)) => panic!("nothing was to be answered yet: {answered:?}"),
        _ => Poll::Ready(()),
    })
    .await;
}

/// The runtime of those who came first ends, with its driver and whatever that is at: those of another one
/// who ride with them are answered all the same.
#[test]
fn those_in_other_runtimes_do_not_go_with_the_one_of_the_driver() {
    for steps in 0..40 {
        for opens_late in [false, true] {
            let [home, ends] = [(); 2].map(|()| runtime());
            let store = Gated::new();
            let limit = home.block_on(async { gated(&store) });
            let call = |_| limit.try_acquire();
            let mut of_ends: FuturesUnordered<_> = (0..5).map(call).collect();
            let mut of_home: FuturesUnordered<_> = (0..40).map(call).collect();
            ends.block_on(begin(&mut of_ends));
            home.block_on(begin(&mut of_home));
            ends.block_on(async {
                run_others(steps / 2).await;
                if !opens_late {
                    store.open();
                }
                run_others(steps - steps / 2).await;
            });
            drop(ends);
            drop(of_ends);
            store.open();
            home.block_on(async {
                let mut admitted = 0;
                while let Some(answer) = of_home.next().await {
                    answer.unwrap_or_else(|refusal| panic!("after {steps} steps: {refusal:?}"));
                    admitted += 1;
                }
                // What was given up is on its way back.
                sleep(ms(1000)).await;
                let left = limit.peek(0).await.unwrap().remaining;
                assert_eq!((admitted, left), (40, PERMITS - 40), "after {steps} steps");
            });
        }
    }
}

/// A store that takes at once, and says so when it is told to.
#[derive(Clone)]
struct Silent {
    store: MemoryStore<Quota>,
    says: Arc<watch::Sender<bool>>,
}

impl Store<Quota> for Silent {
    async fn decide(&self, batch: Batch<Quota>) -> Result<Vec<Answer>, StoreError> {
        let answers = self.store.decide(batch).await;
        self.says.subscribe().wait_for(|says| *says).await.map_err(StoreError::new)?;
        answers
    }
}

/// It is listened to in the runtime of who gave it up, and then in that of the limiter.
#[test]
fn what_was_given_up_in_a_runtime_that_ends_goes_back_all_the_same() {
    let [home, ends] = [(); 2].map(|()| runtime());
    let says = Arc::new(watch::Sender::new(false));
    let store = Silent { store: MemoryStore::default(), says: Arc::clone(&says) };
    let limit = home.block_on(async {
        let quota = Quota::new(PERMITS).unwrap();
        let limiter = StoredLimiter::builder("api", store, quota, OnFailure::Refuse);
        limiter.build().unwrap().key("alice")
    });
    ends.block_on(async {
        let mut call = task::spawn(limit.try_acquire());
        assert_pending!(call.poll());
        drop(call);
        run_others(5).await;
    });
    drop(ends);
    home.block_on(async {
        run_others(5).await;
        says.send_replace(true);
        run_others(5).await;
        assert_eq!(limit.peek(0).await.unwrap().remaining, PERMITS);
    });
}
