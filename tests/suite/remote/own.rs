//! An algorithm of somebody's own over the stores that decide it here.

use super::{
    opened::{made, pool},
    processes::limiter,
    until,
};
use crate::servers::{folder::Folder, postgres::Postgres};
use std::{future::IntoFuture, time::Duration};
use tokio::task::JoinSet;
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    Algorithm, Ask, Decision, Grant, Nanos, Outcome, Rate, Reason, Take,
    algorithm::{Spent, StoredState},
    conformance::{self, Sampled},
    limiter::StoredPermit,
    store::{PostgresStore, SqliteStore, Store},
};

/// So many permits, all of which are there again a while after the first of them was taken.
#[derive(Clone, Debug)]
struct Ration {
    permits: u32,
    period: Nanos,
}

/// How many are taken, and when they are there again.
#[derive(Clone, Debug, Default)]
struct Eaten {
    permits: u32,
    over: Nanos,
}

impl StoredState for Eaten {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.permits.write(bytes);
        self.over.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { permits: u32::read(bytes)?, over: Nanos::read(bytes)? })
    }
}

impl Ration {
    fn new(permits: u32, period: Duration) -> Self {
        Self { permits, period: period.into() }
    }

    fn look(&self, eaten: &Eaten, now: Nanos, take: Take) -> Decision {
        let left = self.permits.saturating_sub(eaten.permits);
        let outcome = match take.cost {
            cost if cost <= left => Outcome::Granted(Grant { cost, at: now }),
            cost if cost > self.permits => Outcome::Never,
            _ => Outcome::Later(eaten.over - now),
        };
        let full_after = eaten.over - now;
        Decision { outcome, limit: self.permits, remaining: left, full_after, rate: 0 }
    }

    /// Takes so many, however many there are.
    fn eat(&self, eaten: &mut Eaten, now: Nanos, cost: u32) {
        if eaten.permits == 0 && cost > 0 {
            eaten.over = now + self.period;
        }
        eaten.permits = eaten.permits.saturating_add(cost);
    }

    /// Whether permits are of those that are not there again yet.
    fn are_of(&self, eaten: &Eaten, grant: Grant) -> bool {
        grant.at < eaten.over && eaten.over <= grant.at + self.period
    }
}

impl Algorithm for Ration {
    type State = Eaten;
    type Permits = Spent;

    fn decide(&self, state: &mut Eaten, now: Nanos, ask: Ask) -> Decision {
        // The end of the time line never comes.
        let is_over = state.over <= now && state.over < Nanos::MAX;
        let mut eaten = if is_over { Eaten::default() } else { state.clone() };
        let granted = match ask {
            // What the take would answer: a copy of the state is told of it.
            Ask::Peek(take) => return self.decide(&mut eaten, now, Ask::Take(take)),
            Ask::Take(take) => {
                let decision = self.look(&eaten, now, take);
                let (Outcome::Granted(grant), 1..) = (decision.outcome, take.cost) else {
                    return decision;
                };
                self.eat(&mut eaten, now, take.cost);
                grant
            }
            Ask::Charge(cost) => {
                self.eat(&mut eaten, now, cost);
                Grant { cost, at: now }
            }
            // A call counts when it takes place.
            Ask::Renew(grant) if !self.are_of(&eaten, grant) => {
                self.eat(&mut eaten, now, grant.cost);
                Grant { at: now, ..grant }
            }
            Ask::GiveBack(grant) if self.are_of(&eaten, grant) => {
                eaten.permits = eaten.permits.saturating_sub(grant.cost);
                if eaten.permits == 0 {
                    eaten = Eaten::default();
                }
                grant
            }
            Ask::Renew(grant) | Ask::End(grant) | Ask::GiveBack(grant) => grant,
        };
        let decision = self.look(&eaten, now, Take::fresh(0));
        *state = eaten;
        Decision { outcome: Outcome::Granted(granted), ..decision }
    }

    fn new_at(&self, state: &Eaten) -> Nanos {
        state.over
    }

    fn interval(&self) -> Nanos {
        self.period
    }

    fn shelf_life(&self) -> Nanos {
        self.period
    }

    fn rate(&self, _: usize) -> Option<Rate> {
        None
    }

    /// A call may be as much later than its permit as a permit keeps.
    fn most_in(&self, length: Duration) -> u64 {
        let granted_in = match Nanos::from(length) {
            Nanos::ZERO => return 0,
            length => length + self.period,
        };
        u64::from(self.permits).saturating_mul(granted_in.get().div_ceil(self.period.get()) + 1)
    }

    fn carry_over(&self, _: &Self, _: &mut Eaten, _: Nanos) {}
}

impl Sampled for Ration {
    fn samples() -> Vec<Self> {
        vec![Self::new(7, Duration::from_secs(7200)), Self::new(2, Duration::from_secs(60))]
    }
}

#[test]
fn it_is_an_algorithm() {
    for ration in Ration::samples() {
        conformance::algorithm(&ration).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

/// All that has to hold over a store, of which this opens a handle.
async fn hold<S: Store<Ration>>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let looked = conformance::store::<Ration, _>(|| store.clone()).await;
    looked.unwrap_or_else(|violation| panic!("{violation}"));
    waits_until_they_are_there_again(store.clone()).await;
    comes_back(store).await;
    are_as_many_as_there_are([open().await, open().await, open().await]).await;
}

/// When permits were granted, by the clock of the store.
fn granted_at<S: Store<Ration>>(permit: &StoredPermit<Ration, S>) -> Nanos {
    permit.decision().unwrap().grant().unwrap().at
}

async fn waits_until_they_are_there_again<S: Store<Ration>>(store: S) {
    let ration = Ration::new(3, Duration::from_secs(1));
    let limit = limiter(store, ration.clone()).key("waits");
    let first = granted_at(&limit.try_acquire().await.unwrap());
    assert_eq!(limit.try_acquire_many(2).await.unwrap().decision().unwrap().remaining, 0);
    let refusal = limit.try_acquire().await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::UsedUp);
    assert!(refusal.retry_after().is_some_and(|wait| wait <= ration.period.into()));
    assert_eq!(limit.try_acquire_many(4).await.unwrap_err().reason(), Reason::TooCostly);
    // One that goes away leaves its permit to those who come next, for whom there would be too few.
    let mut gone = task::spawn(limit.acquire().into_future());
    assert_pending!(gone.poll());
    drop(gone);
    let mut next = None;
    until("it has come back", async || {
        next = limit.acquire().cost(3).max_wait(ration.period.into()).await.ok();
        next.is_some()
    })
    .await;
    assert_eq!(granted_at(&next.unwrap()), first + ration.period);
}

async fn comes_back<S: Store<Ration>>(store: S) {
    let limit = limiter(store, Ration::new(5, Duration::from_secs(7200))).key("comes back");
    let left = async || limit.peek(0).await.unwrap().remaining;
    let permit = limit.try_acquire_many(3).await.unwrap();
    assert_eq!(left().await, 2);
    permit.refund();
    until("they are back", async || left().await == 5).await;
    limit.charge(9).await.unwrap();
    assert_eq!(limit.try_acquire().await.unwrap_err().reason(), Reason::UsedUp);
    limit.reset().await.unwrap();
    limit.try_acquire_many(5).await.unwrap();
}

/// Callers of several processes get as many permits as there are.
async fn are_as_many_as_there_are<S: Store<Ration>>(stores: [S; 3]) {
    let mut calls = JoinSet::new();
    for store in stores {
        let limit = limiter(store, Ration::new(50, Duration::from_secs(7200))).key("many");
        for _ in 0..40 {
            let limit = limit.clone();
            calls.spawn(async move { limit.try_acquire().await.map(drop) });
        }
    }
    let called = calls.join_all().await;
    assert_eq!(called.iter().filter(|call| call.is_ok()).count(), 50);
    for refusal in called.into_iter().filter_map(Result::err) {
        assert_eq!(refusal.reason(), Reason::UsedUp, "{refusal:?}");
    }
}

/// What is taken stays taken when all who know of it are gone.
async fn outlives<S: Store<Ration>>(store: S, restart: impl AsyncFnOnce() -> S) {
    let daily = Ration::new(5, Duration::from_secs(86_400));
    let limiter_over = |store| limiter(store, daily.clone()).key("outlives");
    let limit = limiter_over(store);
    let at = granted_at(&limit.try_acquire_many(4).await.unwrap());
    drop(limit);
    let limit = limiter_over(restart().await);
    let last = limit.try_acquire().await.unwrap();
    assert_eq!(last.decision().unwrap().remaining, 0);
    let left = limit.try_acquire().await.unwrap_err().retry_after().unwrap();
    assert!(granted_at(&last) + left.into() <= at + daily.period, "the time goes on: {left:?}");
    last.refund();
    until("it is back", async || limit.try_acquire().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_holds_over_sqlite() {
    let folder = Folder::new();
    hold(async || folder.open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_holds_over_postgres() {
    let url = crate::servers::postgres::url();
    drop(made(pool(&url, 1), "remote_own").await);
    let open = async || PostgresStore::new(pool(&url, 4)).table("remote_own").unwrap();
    hold(async || open().await.decided_here()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_a_file_that_is_closed_and_opened_again() {
    let folder = Folder::new();
    outlives(folder.open(), async || SqliteStore::open(folder.file()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_a_postgres_that_is_killed() {
    let mut server = Postgres::start();
    let url = server.url();
    let store = made(pool(&url, 4), "limits").await.decided_here();
    outlives(store, async || {
        server.crash();
        server.restart();
        PostgresStore::new(pool(&url, 4)).table("limits").unwrap().decided_here()
    })
    .await;
}
