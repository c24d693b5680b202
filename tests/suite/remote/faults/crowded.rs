//! Whatever the policy, it holds for many who call at the same time while a store is in trouble.

use super::{
    super::{DEADLINE, ms, opened, until},
    policies::{ends, quota},
};
use crate::{
    metrics::{Watched, watched},
    servers::{folder::Folder, postgres::Postgres},
};
use rusqlite::Connection;
use std::time::Duration;
use tokio::task::JoinSet;
use tower_ratelimit::{
    OnFailure, Quota, Reason, StoredLimiter,
    store::{SqliteStore, Store},
};

/// More than there are calls.
const PERMITS: u32 = 100_000;

/// How many calls about a key one process lets through by itself.
const SHARE: u32 = 5;

/// How many come at the same time.
const CALLS: u32 = 16;

type Limiter<S> = StoredLimiter<Quota, S>;

fn built<S: Store<Quota>>(name: &str, store: &S, policy: OnFailure<Quota>) -> Limiter<S> {
    let builder = StoredLimiter::builder(name, store.clone(), quota(PERMITS), policy);
    let builder = builder.deadline(DEADLINE).unwrap().breaker(2, ms(50)).unwrap();
    builder.build().unwrap()
}

/// A limiter of each policy, and what it reports.
struct Policies<S: Store<Quota>> {
    refuses: Watched<Limiter<S>>,
    admits: Watched<Limiter<S>>,
    shares: Watched<Limiter<S>>,
}

impl<S: Store<Quota>> Policies<S> {
    fn over(store: &S) -> Self {
        Self {
            refuses: watched(|| built("refuses", store, OnFailure::Refuse)),
            admits: watched(|| built("admits", store, OnFailure::Admit)),
            shares: watched(|| built("shares", store, OnFailure::Local(quota(SHARE)))),
        }
    }

    /// Nobody gets an answer of the store about these keys, the first of which is for the first limiter.
    async fn hold(&mut self, [refuses, admits, shares]: [u32; 3]) {
        for round in 0..2 {
            let (refused, admitted, shared) = tokio::join!(
                called(&mut self.refuses, refuses),
                called(&mut self.admits, admits),
                called(&mut self.shares, shares),
            );
            let all = CALLS as usize;
            assert_eq!(refused, vec![Err(Reason::Unavailable); all]);
            assert_eq!(admitted, vec![Ok(Answered::Nobody); all]);
            let is_let_through = |call: &&Result<Answered, Reason>| call.is_ok();
            let let_through = if round == 0 { SHARE as usize } else { 0 };
            assert_eq!(shared.iter().filter(is_let_through).count(), let_through);
            for call in shared {
                assert!(matches!(call, Ok(Answered::Nobody) | Err(Reason::Exhausted)), "{call:?}");
            }
        }
    }

    /// The store answers again.
    async fn are_over(&self, keys: [u32; 3]) {
        for (watched, key) in [&self.refuses, &self.admits, &self.shares].into_iter().zip(keys) {
            let limit = watched.limiter.key(&key);
            until("the store grants again", async || {
                limit.try_acquire().await.is_ok_and(|permit| permit.decision().is_some())
            })
            .await;
        }
    }
}

/// Who has let a call through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Store,
    Nobody,
}

/// What many calls about a key end in. The limiter reports of each that it was decided without the store.
async fn called<S: Store<Quota>>(
    watched: &mut Watched<Limiter<S>>,
    key: u32,
) -> Vec<Result<Answered, Reason>> {
    let before = without_store(watched);
    let limit = watched.limiter.key(&key);
    let call = |number: u32| {
        let limit = limit.clone();
        async move {
            let called = match number.is_multiple_of(2) {
                true => ends(limit.acquire()).await,
                false => ends(limit.try_acquire()).await,
            };
            let permit = called.map_err(|refusal| refusal.reason())?;
            Ok(permit.decision().map_or(Answered::Nobody, |_| Answered::Store))
        }
    };
    let calls: JoinSet<_> = (0..CALLS).map(call).collect();
    let called = calls.join_all().await;
    assert_eq!(without_store(watched) - before, f64::from(CALLS));
    called
}

fn without_store<L>(watched: &mut Watched<L>) -> f64 {
    watched.read();
    let totals = watched.totals.iter();
    let of_it = totals.filter(|(series, _)| series.starts_with("store_fallbacks_total"));
    of_it.map(|(_, total)| total).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_ends_in_the_policy_until_it_is_back() {
    let mut server = Postgres::start();
    let mut policies = Policies::over(&opened::postgres(&server.url()).await);
    let keys = [0; 3];
    policies.are_over(keys).await;
    server.crash();
    policies.hold([1; 3]).await;
    server.restart();
    policies.are_over(keys).await;
}

/// Somebody holds the file, for which this store waits this long.
async fn held(busy_timeout: Duration) {
    let folder = Folder::new();
    let store = SqliteStore::builder().busy_timeout(busy_timeout).open(folder.file()).unwrap();
    let mut policies = Policies::over(&store);
    let other = Connection::open(folder.file()).unwrap();
    other.busy_timeout(DEADLINE * 10).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    policies.hold([1; 3]).await;
    other.execute_batch("COMMIT").unwrap();
    policies.are_over([1; 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_held_ends_in_the_policy() {
    held(ms(30)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_held_for_longer_than_the_deadline_ends_in_the_policy() {
    held(DEADLINE * 10).await;
}

/// Puts keys in until there is no room, and returns one for which there is none.
async fn fill<S: Store<Quota>>(limiter: &Limiter<S>) -> u32 {
    let mut key = 0_u32;
    let has_room = async |key: u32| {
        let called = limiter.key(&key).try_acquire().await;
        called.is_ok_and(|permit| permit.decision().is_some())
    };
    while has_room(key).await {
        key += 1;
    }
    // Nobody has asked about that one yet.
    key + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_in_the_policy_until_there_is_room() {
    let folder = Folder::new();
    let store = SqliteStore::builder().max_bytes(16 * 4096).open(folder.file()).unwrap();
    let mut policies = Policies::over(&store);
    let homeless = [
        fill(&policies.refuses.limiter).await,
        fill(&policies.admits.limiter).await,
        fill(&policies.shares.limiter).await,
    ];
    policies.hold(homeless).await;
    let tidies = built("refuses", &store, OnFailure::Refuse);
    for key in 0..homeless[0] - 1 {
        tidies.key(&key).reset().await.unwrap();
    }
    policies.are_over(homeless).await;
}
