//! Whatever the policy, it holds within the deadline while a store is in trouble.

use super::super::{DEADLINE, ms, opened, until};
use crate::servers::{freeze::Frozen, postgres::Postgres, redis::Server};
use std::future::IntoFuture;
use tokio::time::{Instant, timeout};
use tower_ratelimit::{OnFailure, Quota, Reason, StoredLimiter, limiter::StoredKey, store::Store};

pub(super) fn quota(permits: u32) -> Quota {
    Quota::new(permits).unwrap()
}

/// What a call ends in, which it does.
pub(super) async fn ends<T>(call: impl IntoFuture<Output = T>) -> T {
    timeout(DEADLINE * 10, call).await.expect("it ends")
}

/// A limit for each policy.
pub(super) struct Policies<S: Store<Quota>> {
    refuses: StoredKey<Quota, S>,
    admits: StoredKey<Quota, S>,
    shares: StoredKey<Quota, S>,
}

impl<S: Store<Quota>> Policies<S> {
    /// They are in trouble, for the first time.
    pub(super) async fn hold(&self) {
        for _ in 0..4 {
            let refusal = ends(self.refuses.acquire()).await.expect_err("refused");
            assert_eq!(refusal.reason(), Reason::Unavailable);
            assert!(ends(self.admits.acquire()).await.unwrap().decision().is_none());
        }
        // The store has let one through, and this process may two.
        assert!(ends(self.shares.acquire()).await.unwrap().decision().is_none());
        for _ in 0..3 {
            let refusal = ends(self.shares.acquire()).await.expect_err("the share is used up");
            assert_eq!(refusal.reason(), Reason::Exhausted);
        }
    }
}

/// Asks limiters of all policies before and after some trouble, which has them [hold](Policies::hold).
pub(super) async fn hold<S: Store<Quota>>(store: S, trouble: impl AsyncFnOnce(&Policies<S>)) {
    let built = |name: &'static str, policy| {
        let builder = StoredLimiter::builder(name, store.clone(), quota(10), policy);
        let builder = builder.deadline(DEADLINE).unwrap().breaker(2, ms(50)).unwrap();
        builder.build().unwrap().key("a")
    };
    let policies = Policies {
        refuses: built("refuses", OnFailure::Refuse),
        admits: built("admits", OnFailure::Admit),
        shares: built("shares", OnFailure::Local(quota(2))),
    };
    let Policies { refuses, admits, shares } = &policies;
    for limit in [refuses, admits, shares] {
        limit.try_acquire().await.unwrap();
    }
    trouble(&policies).await;
    for limit in [refuses, admits, shares] {
        until("the store grants again", async || {
            limit.try_acquire().await.is_ok_and(|permit| permit.decision().is_some())
        })
        .await;
    }
}

/// The same while a server is frozen.
pub(super) async fn hold_frozen<S: Store<Quota>>(store: S, freeze: impl AsyncFnOnce() -> Frozen) {
    hold(store, async |policies| {
        let frozen = freeze().await;
        let start = Instant::now();
        policies.hold().await;
        assert!(start.elapsed() >= DEADLINE, "the store was asked");
        drop(frozen);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_answers_nothing_ends_in_the_policy() {
    let server = Server::start_private(&[]).await;
    hold_frozen(opened::redis(&server).await, async || server.freeze()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_answers_nothing_ends_in_the_policy() {
    let server = Postgres::start();
    hold_frozen(opened::postgres(&server.url()).await, async || server.freeze()).await;
}
