//! Whatever the policy, it holds within the deadline while a server answers nothing.

use super::super::{DEADLINE, ms, opened, until};
use crate::servers::{freeze::Frozen, postgres::Postgres, redis::Server};
use std::future::IntoFuture;
use tokio::time::{Instant, timeout};
use tower_ratelimit::{OnFailure, Quota, Reason, StoredLimiter, store::Store};

pub(super) fn quota(permits: u32) -> Quota {
    Quota::new(permits).unwrap()
}

/// What a call ends in, which it does.
pub(super) async fn ends<T>(call: impl IntoFuture<Output = T>) -> T {
    timeout(DEADLINE * 10, call).await.expect("it ends")
}

/// Asks three limiters while the server is frozen.
async fn hold<S: Store<Quota>>(store: S, freeze: impl FnOnce() -> Frozen) {
    let built = |name: &'static str, policy| {
        let builder = StoredLimiter::builder(name, store.clone(), quota(10), policy);
        let builder = builder.deadline(DEADLINE).unwrap().breaker(2, ms(50)).unwrap();
        builder.build().unwrap().key("a")
    };
    let refuses = built("refuses", OnFailure::Refuse);
    let admits = built("admits", OnFailure::Admit);
    let shares = built("shares", OnFailure::Local(quota(2)));
    for limit in [&refuses, &admits, &shares] {
        limit.try_acquire().await.unwrap();
    }
    let frozen = freeze();
    let start = Instant::now();
    for _ in 0..4 {
        let refusal = ends(refuses.acquire()).await.expect_err("refused");
        assert_eq!(refusal.reason(), Reason::Unavailable);
        assert!(ends(admits.acquire()).await.unwrap().decision().is_none());
    }
    // The store has let one through, and this process may two.
    assert!(ends(shares.acquire()).await.unwrap().decision().is_none());
    for _ in 0..3 {
        let refusal = ends(shares.acquire()).await.expect_err("the share is used up");
        assert_eq!(refusal.reason(), Reason::Exhausted);
    }
    assert!(start.elapsed() >= DEADLINE, "the store was asked");
    drop(frozen);
    for limit in [&refuses, &admits, &shares] {
        until("the store grants again", async || {
            limit.try_acquire().await.is_ok_and(|permit| permit.decision().is_some())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_answers_nothing_ends_in_the_policy() {
    let server = Server::start_private(&[]).await;
    hold(opened::redis(&server).await, || server.freeze()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_answers_nothing_ends_in_the_policy() {
    let server = Postgres::start();
    hold(opened::postgres(&server.url()).await, || server.freeze()).await;
}
