//! Calls over real stores that are dropped on their way: what they were charged goes back.

use super::{ms, refused};
use crate::{
    servers::{
        folder::Folder,
        redis::{Server, unique},
    },
    until::until,
};
use std::{future::IntoFuture, task::Poll, time::Duration};
use tokio::task::{JoinSet, yield_now};
use tokio_test::task;
use tower_ratelimit::{
    AnyAlgorithm, OnFailure, Reason, StoredLimiter,
    limiter::StoredKey,
    store::{RedisStore, Store},
};

/// No answer takes so long, whatever else the machine has to do.
const PATIENCE: Duration = Duration::from_secs(20);

const HOUR: Duration = Duration::from_secs(3600);

fn key<S: Store<AnyAlgorithm>>(store: &S, line: &str) -> StoredKey<AnyAlgorithm, S> {
    let limiter =
        StoredLimiter::builder(line, store.clone(), line.parse().unwrap(), OnFailure::Refuse);
    limiter.deadline(PATIENCE).unwrap().build().unwrap().key("alice")
}

/// What happens between the looks at a call.
#[derive(Clone, Copy)]
enum Between {
    /// Others run.
    Yields,
    /// Time passes, in which a store has answered as a rule.
    Naps,
}

const BETWEEN: [Between; 2] = [Between::Yields, Between::Naps];

/// Polls a call so often, and drops it some time after that. What it came to if it came to its end before.
async fn dropped_after<T>(
    polls: usize,
    between: Between,
    call: impl Future<Output = T>,
) -> Option<T> {
    let mut call = task::spawn(Box::pin(call));
    for _ in 0..polls {
        if let Poll::Ready(result) = call.poll() {
            return Some(result);
        }
        match between {
            Between::Yields => yield_now().await,
            Between::Naps => tokio::time::sleep(ms(2)).await,
        }
    }
    None
}

/// At whatever point calls are dropped, by themselves or in a batch.
async fn hold<S: Store<AnyAlgorithm>>(store: S) {
    takes_nothing(&store).await;
    leaves_its_place_in_line(&store).await;
}

async fn takes_nothing<S: Store<AnyAlgorithm>>(store: &S) {
    let limit = key(store, "quota 1000");
    let mut used = 0;
    for between in BETWEEN {
        for polls in 0..4 {
            used += gone(&limit, polls, between).await;
        }
    }
    // In batches with others, some of whom change their minds.
    let mut calls = JoinSet::new();
    for (index, between) in BETWEEN.into_iter().cycle().take(60).enumerate() {
        let limit = limit.clone();
        calls.spawn(async move {
            if index % 3 == 0 {
                return gone(&limit, index / 6, between).await;
            }
            let permit = limit.try_acquire_many(2).await.unwrap();
            match index % 3 {
                1 => {
                    permit.refund();
                    0
                }
                _ => 2,
            }
        });
    }
    used += calls.join_all().await.into_iter().sum::<u32>();
    until("what went back is there", async || {
        limit.peek(0).await.unwrap().remaining == 1000 - used
    })
    .await;
    // It stays so: nothing goes back twice.
    limit.try_acquire().await.unwrap();
    assert_eq!(limit.peek(0).await.unwrap().remaining, 999 - used);
}

/// How many permits one took who goes away, unless that was too late.
async fn gone<S: Store<AnyAlgorithm>>(
    limit: &StoredKey<AnyAlgorithm, S>,
    polls: usize,
    between: Between,
) -> u32 {
    let permit = dropped_after(polls, between, limit.try_acquire_many(3)).await;
    permit.map_or(0, |permit| permit.map(|_| 3).unwrap())
}

/// Slots that were reserved and not waited for are free again.
async fn leaves_its_place_in_line<S: Store<AnyAlgorithm>>(store: &S) {
    let limit = key(store, "leaky bucket 1/h, capacity 1");
    limit.try_acquire().await.unwrap();
    let mut calls = JoinSet::new();
    for (index, between) in BETWEEN.into_iter().cycle().take(36).enumerate() {
        let limit = limit.clone();
        calls.spawn(async move {
            dropped_after(index / 6, between, limit.acquire().into_future()).await.is_none()
        });
    }
    assert!(calls.join_all().await.into_iter().all(|is_dropped| is_dropped));
    let is_next = async || {
        let refusal = refused(limit.acquire().max_wait(ms(1)).await);
        assert_eq!(refusal.reason(), Reason::UsedUp);
        refusal.retry_after().unwrap() <= HOUR
    };
    until("it is the next", is_next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_dropped_take_nothing_from_a_file() {
    hold(Folder::new().open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_dropped_take_nothing_from_redis() {
    let server = Server::start().await;
    hold(RedisStore::new(server.connect().await).namespace(unique())).await;
}
