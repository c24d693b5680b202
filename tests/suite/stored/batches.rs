//! Asks that travel together.

use super::{Slow, bucket, limiter, ms, since};
use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_ratelimit::{
    OnFailure, Quota, StoredLimiter,
    store::{Answer, Batch, MemoryStore, Store, StoreError},
};

#[tokio::test(start_paused = true)]
async fn a_lone_caller_sends_its_own_ask() {
    let store = Slow::new(10);
    let limiter = limiter(&store, bucket(1, 10));
    let start = Instant::now();
    for _ in 0..3 {
        limiter.key("alice").try_acquire().await.unwrap();
    }
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!(store.batches(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn asks_that_come_while_a_batch_is_under_way_ride_together_in_the_next() {
    let store = Slow::new(10);
    let limiter = limiter(&store, Quota::new(1000).unwrap());
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for caller in 0..64_u64 {
        let limit = limiter.key(&caller);
        calls.spawn(async move { limit.try_acquire().await.map(drop) });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    let batches = store.batches();
    assert_eq!(batches.iter().sum::<usize>(), 64);
    assert!(batches.len() <= 3, "{batches:?}");
    assert!(start.elapsed() <= ms(30));
}

/// So that a store can see to it that a caller who is not polled any more keeps nothing from others.
#[tokio::test(start_paused = true)]
async fn a_store_is_told_whether_a_task_asks_or_a_caller() {
    let store = Slow::new(10);
    let limiter = limiter(&store, Quota::new(1000).unwrap());
    limiter.key("earlier").try_acquire().await.unwrap();
    let calls = (0..5_u64).map(|key| limiter.key(&key).acquire().into_future());
    let calls: JoinSet<_> = calls.collect();
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(store.batches(), [1, 1, 4]);
    assert_eq!(store.tasks(), [false, false, true]);
}

/// So many callers ask so many times each.
async fn ask_in_a_row<S: Store<Quota>>(
    limiter: &StoredLimiter<Quota, S>,
    callers: usize,
    times: usize,
) {
    let calls = (0..callers).map(|_| {
        let limit = limiter.key("alice");
        async move {
            for _ in 0..times {
                limit.try_acquire().await.unwrap();
            }
        }
    });
    calls.collect::<JoinSet<_>>().join_all().await;
}

#[tokio::test(start_paused = true)]
async fn callers_in_a_loop_fill_every_batch() {
    let store = Slow::new(10);
    let limiter = limiter(&store, Quota::new(100_000).unwrap());
    ask_in_a_row(&limiter, 16, 100).await;
    let batches = store.batches();
    assert_eq!(batches.iter().sum::<usize>(), 1600);
    assert!(batches.len() <= 110, "{} batches", batches.len());
}

/// So many callers ask, and 3 ms later so many more. When those have their answers.
async fn answered_beside(others: u64, more: u64) -> Duration {
    let limiter = limiter(&Slow::new(10).at_once(2), Quota::new(1000).unwrap());
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for caller in 0..others + more {
        let is_other = caller < others;
        let limit = limiter.key("alice");
        calls.spawn(async move {
            sleep(if is_other { ms(0) } else { ms(3) }).await;
            limit.try_acquire().await.unwrap();
            if is_other { ms(0) } else { start.elapsed() }
        });
    }
    calls.join_all().await.into_iter().max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn beside_a_batch_of_many_another_one_leaves_only_if_it_is_of_many() {
    assert_eq!(answered_beside(20, 16).await, ms(13));
    assert_eq!(answered_beside(20, 15).await, ms(20));
    assert_eq!(answered_beside(16, 15).await, ms(13), "one on its own way, 15 in a batch");
}

#[tokio::test(start_paused = true)]
async fn many_callers_are_shared_out_among_the_batches_that_may_be_under_way() {
    let store = Slow::new(10).at_once(2);
    let limiter = limiter(&store, Quota::new(100_000).unwrap());
    ask_in_a_row(&limiter, 65, 20).await;
    let batches = store.batches();
    assert_eq!(batches[..3], [1, 32, 32]);
    assert!(batches[3..].iter().all(|batch| (16..=34).contains(batch)), "{batches:?}");
    assert_eq!(batches.iter().sum::<usize>(), 1300);
}

/// A store at the other end of a connection, which sends all that there is when it is let run, and answers that
/// together 10 ms later. How many batches were sent together each time.
fn connected(store: MemoryStore<Quota>) -> (Connected, Arc<Mutex<Vec<usize>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (connection, mut batches) = mpsc::unbounded_channel::<Call>();
    let log = Arc::clone(&sent);
    tokio::spawn(async move {
        let mut calls = Vec::new();
        while let together = batches.recv_many(&mut calls, usize::MAX).await
            && together > 0
        {
            log.lock().unwrap().push(together);
            let (store, calls) = (store.clone(), mem::take(&mut calls));
            tokio::spawn(async move {
                sleep(ms(10)).await;
                for (batch, reply) in calls {
                    let _ = reply.send(store.decide(batch).await);
                }
            });
        }
    });
    (Connected(connection), sent)
}

type Call = (Batch<Quota>, oneshot::Sender<Result<Vec<Answer>, StoreError>>);

#[derive(Clone)]
struct Connected(mpsc::UnboundedSender<Call>);

impl Store<Quota> for Connected {
    async fn decide(&self, batch: Batch<Quota>) -> Result<Vec<Answer>, StoreError> {
        let (reply, answers) = oneshot::channel();
        self.0.send((batch, reply)).map_err(StoreError::new)?;
        answers.await.map_err(StoreError::new)?
    }

    fn batches_at_once(&self) -> usize {
        2
    }
}

#[tokio::test(start_paused = true)]
async fn two_batches_that_are_answered_together_do_not_leave_together_again() {
    let (store, sent) = connected(MemoryStore::default());
    let limit = Quota::new(100_000).unwrap();
    let limiter = StoredLimiter::builder("api", store, limit, OnFailure::Refuse).build().unwrap();
    ask_in_a_row(&limiter, 65, 20).await;
    let sent = sent.lock().unwrap();
    assert!(sent[..2].contains(&2), "{sent:?}");
    assert!(sent.len() > 30 && sent[2..].iter().all(|together| *together == 1), "{sent:?}");
}

/// Otherwise who asks after it could be answered before it.
#[tokio::test(start_paused = true)]
async fn a_batch_that_gives_something_back_is_followed_by_no_other_until_it_is_answered() {
    let limiter = limiter(&Slow::new(10).at_once(2), Quota::new(1000).unwrap());
    let permit = limiter.key("alice").try_acquire().await.unwrap();
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for caller in 0..104_u64 {
        let limit = limiter.key("alice");
        let wave = (caller / 20).min(2);
        calls.spawn(async move {
            sleep(ms(wave)).await;
            limit.try_acquire().await.unwrap();
            (wave, since(start))
        });
    }
    // It rides with those who ask after a millisecond.
    sleep(ms(1)).await;
    permit.refund();
    let answered = calls.join_all().await;
    let of = |wave| answered.iter().filter(move |(of, _)| *of == wave).map(|(_, at)| *at);
    let of = |wave| of(wave).collect::<BTreeSet<_>>();
    // Of the last wave none stays behind for those who might have left at the same time.
    assert_eq!([of(0), of(1), of(2)], [10, 11, 21].map(|at| BTreeSet::from([at])));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_not_polled_holds_up_nobody() {
    let store = Slow::new(10);
    let limiter = limiter(&store, bucket(1, 10));
    // Its ask is on its way, and nobody looks after it any more.
    let (alice, bob) = (limiter.key("alice"), limiter.key("bob"));
    let mut stuck = tokio_test::task::spawn(alice.try_acquire());
    tokio_test::assert_pending!(stuck.poll());
    let start = Instant::now();
    for _ in 0..3 {
        bob.try_acquire().await.unwrap();
    }
    assert_eq!(start.elapsed(), ms(30));
}

#[tokio::test(start_paused = true)]
async fn exactly_as_many_are_admitted_as_there_are_permits() {
    let store = Slow::new(3).at_once(2);
    let limiters = [(); 4].map(|()| limiter(&store, Quota::new(500).unwrap()));
    let mut calls = JoinSet::new();
    for caller in 0..64 {
        let limit = limiters[caller % 4].key("alice");
        calls.spawn(async move {
            let mut admitted = 0;
            while limit.try_acquire().await.is_ok() {
                admitted += 1;
            }
            admitted
        });
    }
    let mut admitted = 0;
    while let Some(call) = calls.join_next().await {
        admitted += call.unwrap();
    }
    assert_eq!(admitted, 500);
}
