//! Several limits over the real stores: there, too, they are taken in one step or not at all.

use super::{left, two};
use crate::{
    servers::{
        folder::Folder,
        redis::{Server, unique},
    },
    stored::{ms, refused},
    stores::postgres,
    until::until,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_test::task;
use tower_ratelimit::{
    AnyAlgorithm, Invalid, JointBuilder, JointLimiter, LimitId, OnFailure, Quota, RateLimited,
    Reason, StoredJointBuilder, StoredJointLimiter,
    limiter::StoredOnLimits,
    store::{Answer, Batch, RedisStore, Store, StoreError},
};

/// No answer takes so long, whatever else the machine has to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn builder<S: Store<AnyAlgorithm>>(
    store: S,
    on_failure: OnFailure<JointBuilder>,
) -> StoredJointBuilder<S> {
    let builder = StoredJointLimiter::builder(store, on_failure).deadline(PATIENCE).unwrap();
    builder.breaker(u32::MAX, ms(1)).unwrap()
}

/// Asks, and goes away before there is an answer; as a rule, as some stores are quick.
fn give_up<S: Store<AnyAlgorithm>>(call: &StoredOnLimits<S>) {
    let mut asks = task::spawn(Box::pin(call.try_acquire()));
    if let Poll::Ready(Ok(permit)) = asks.poll() {
        permit.refund();
    }
}

/// All that has to hold over a store that two processes have open.
async fn hold<S: Store<AnyAlgorithm>>(one: S, other: S) {
    takes_all_or_nothing(&one).await;
    waits_for_all(&one, &other).await;
    gives_back_what_is_refunded(&one).await;
    is_exact(&one, &other).await;
    goes_by_the_policy_while_the_store_is_away(&one).await;
    shares_out_no_new_burst_each_time_the_store_goes_away(&one).await;
}

async fn takes_all_or_nothing<S: Store<AnyAlgorithm>>(store: &S) {
    let (limiter, few, many) =
        two(builder(store.clone(), OnFailure::Refuse), "quota 2", "leaky bucket 1/h, capacity 3");
    // In either order.
    let calls = [limiter.on(few, "all").on(many, "all"), limiter.on(many, "all").on(few, "all")];
    for call in &calls {
        call.try_acquire().await.unwrap();
    }
    for call in &calls {
        let refusal = refused(call.try_acquire().await);
        assert_eq!((refusal.limit(), refusal.reason()), (Some("a"), Reason::Exhausted));
    }
    assert_eq!(left(&limiter, many, "all").await, 1, "nothing was taken of it");
    limiter.on(many, "all").try_acquire().await.unwrap();
    // The one with the longest wait is named, with what it has to say.
    let refusal = refused(limiter.on(few, "new").on(many, "all").try_acquire().await);
    assert_eq!((refusal.limit(), refusal.reason()), (Some("b"), Reason::UsedUp));
    let hour = Duration::from_secs(3600);
    assert!(refusal.retry_after().is_some_and(|wait| wait <= hour && wait > hour - PATIENCE));
    let refusal = refused(limiter.on_many(few, "new", 3).on(many, "all").acquire().await);
    assert_eq!((refusal.limit(), refusal.reason()), (Some("a"), Reason::TooCostly));
    assert_eq!(left(&limiter, few, "new").await, 2, "nothing was taken of it");
}

/// Of both processes, each asking again and again, nobody is charged for what was not had.
async fn waits_for_all<S: Store<AnyAlgorithm>>(one: &S, other: &S) {
    let mut calls = JoinSet::new();
    let mut limiters = Vec::new();
    for store in [one, other] {
        let mut limits = builder(store.clone(), OnFailure::Refuse);
        let window = "sliding window 2/30ms".parse::<AnyAlgorithm>().unwrap();
        let window = limits.limit("window", window).unwrap();
        let (limiter, bucket, quota) = two(limits, "leaky bucket 1/10ms, capacity 1", "quota 100");
        for _ in 0..6 {
            let call = limiter.on(window, "wait").on(bucket, "wait").on(quota, "wait");
            calls.spawn(async move { call.acquire().await.map(drop) });
        }
        limiters.push((limiter, quota));
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    let (limiter, quota) = &limiters[0];
    assert_eq!(left(limiter, *quota, "wait").await, 88);
    // A wait that is longer than accepted fails at once.
    let mut limits = builder(one.clone(), OnFailure::Refuse);
    let long = limits.limit("long", "strict 1/h".parse::<AnyAlgorithm>().unwrap()).unwrap();
    let (limiter_of_long, _, quota_beside) = two(limits, "quota 1", "quota 100");
    let call = limiter_of_long.on(long, "wait").on(quota_beside, "wait");
    call.try_acquire().await.unwrap();
    let refusal = refused(call.acquire().max_wait(ms(50)).await);
    assert_eq!((refusal.limit(), refusal.max_wait()), (Some("long"), Some(ms(50))));
    assert_eq!(left(limiter, *quota, "wait").await, 87);
}

async fn gives_back_what_is_refunded<S: Store<AnyAlgorithm>>(store: &S) {
    let (limiter, a, b) =
        two(builder(store.clone(), OnFailure::Refuse), "quota 5", "sliding window 7/h");
    let call = limiter.on_many(a, "back", 2).on_many(b, "back", 3);
    let permit = call.try_acquire().await.unwrap();
    let both_left = async || (left(&limiter, a, "back").await, left(&limiter, b, "back").await);
    assert_eq!(both_left().await, (3, 4));
    permit.refund();
    until("what went back is there", async || both_left().await == (5, 7)).await;
    // So does what was given up on the way, which may have been taken.
    for _ in 0..5 {
        give_up(&call);
    }
    until("what went back is there", async || both_left().await == (5, 7)).await;
    for _ in 0..2 {
        call.try_acquire().await.unwrap();
    }
    assert_eq!(both_left().await, (1, 1));
}

/// Of many who ask at once, some of whom give up or change their minds, exactly as many pass as the limits
/// allow.
async fn is_exact<S: Store<AnyAlgorithm>>(one: &S, other: &S) {
    let limiters = [one, other]
        .map(|store| two(builder(store.clone(), OnFailure::Refuse), "quota 20", "quota 50"));
    let mut calls = JoinSet::new();
    for caller in 0..12 {
        let (limiter, per_user, over_all) = limiters[caller % 2].clone();
        calls.spawn(async move {
            let call = limiter.on(per_user, &format!("user {}", caller % 4)).on(over_all, "users");
            let mut admitted = 0;
            for turn in 0..30 {
                if turn % 5 == 0 {
                    give_up(&call);
                    continue;
                }
                match call.try_acquire().await {
                    Ok(permit) if turn % 3 == 0 => permit.refund(),
                    Ok(_) => admitted += 1,
                    Err(refusal) => assert_eq!(refusal.reason(), Reason::Exhausted, "{refusal:?}"),
                }
            }
            (caller % 4, admitted)
        });
    }
    let mut admitted = [0; 4];
    while let Some(call) = calls.join_next().await {
        let (user, calls) = call.unwrap();
        admitted[user] += calls;
    }
    // What was given up goes back by and by: then as many are left as were not used.
    let (limiter, per_user, over_all) = &limiters[0];
    let all = admitted.iter().sum::<u32>();
    until("what went back is there", async || left(limiter, *over_all, "users").await == 50 - all)
        .await;
    for (user, calls) in admitted.into_iter().enumerate() {
        let user = format!("user {user}");
        until("what went back is there", async || {
            left(limiter, *per_user, &user).await == 20 - calls
        })
        .await;
    }
    let call = limiter.on(*per_user, "another user").on(*over_all, "users");
    for _ in all..50 {
        // One user alone would run into its own limit.
        let _ = call.try_acquire().await;
    }
    assert_eq!(left(limiter, *over_all, "users").await, (50 - all).saturating_sub(20));
}

/// A store that can be away.
#[derive(Clone)]
struct Away<S>(S, Arc<AtomicBool>);

impl<S: Store<AnyAlgorithm>> Store<AnyAlgorithm> for Away<S> {
    async fn decide(&self, batch: Batch<AnyAlgorithm>) -> Result<Vec<Answer>, StoreError> {
        match self.1.load(SeqCst) {
            true => Err(StoreError::new("it is away")),
            false => self.0.decide(batch).await,
        }
    }

    fn keep_to(&self, algorithm: AnyAlgorithm) -> Result<AnyAlgorithm, Invalid> {
        self.0.keep_to(algorithm)
    }

    fn batches_at_once(&self) -> usize {
        self.0.batches_at_once()
    }
}

impl<S: Store<AnyAlgorithm>> Away<S> {
    fn new(store: &S) -> Self {
        Self(store.clone(), Arc::default())
    }

    fn set(&self, is_away: bool) {
        self.1.store(is_away, SeqCst);
    }
}

/// The limiter and its limits, each of nine permits.
type Nine<S> = (StoredJointLimiter<Away<S>>, LimitId, LimitId);

async fn ask<S: Store<AnyAlgorithm>>(
    (limiter, a, b): &Nine<S>,
    key: &str,
) -> Result<bool, RateLimited> {
    let permit = limiter.on(*a, key).on(*b, key).try_acquire().await?;
    // Whether the store has let it through.
    Ok(permit.binding().is_some())
}

async fn goes_by_the_policy_while_the_store_is_away<S: Store<AnyAlgorithm>>(store: &S) {
    let store = Away::new(store);
    let refuses = two(builder(store.clone(), OnFailure::Refuse), "quota 9", "quota 9");
    let admits = two(builder(store.clone(), OnFailure::Admit), "quota 9", "quota 9");
    for taken in 1..=3 {
        assert!(ask(&refuses, "policy").await.unwrap());
        store.set(true);
        for _ in 0..3 {
            let refusal = refused(ask(&refuses, "policy").await);
            assert_eq!(refusal.reason(), Reason::Unavailable);
            assert!(!ask(&admits, "policy").await.unwrap());
        }
        store.set(false);
        for limit in [refuses.1, refuses.2] {
            assert_eq!(left(&refuses.0, limit, "policy").await, 9 - taken);
        }
    }
}

/// The share of a process is one, however often the store goes away.
async fn shares_out_no_new_burst_each_time_the_store_goes_away<S: Store<AnyAlgorithm>>(store: &S) {
    let store = Away::new(store);
    let mut share = JointLimiter::builder();
    share.limit("a", Quota::new(4).unwrap()).unwrap();
    share.limit("b", Quota::new(6).unwrap()).unwrap();
    let limits = two(builder(store.clone(), OnFailure::Local(share)), "quota 9", "quota 9");
    let mut let_through = Vec::new();
    for _ in 0..5 {
        // This uses up the share, too.
        assert!(ask(&limits, "share").await.unwrap());
        store.set(true);
        let mut passed = 0;
        for _ in 0..2 {
            match ask(&limits, "share").await {
                Ok(by_store) => passed += u32::from(!by_store),
                Err(refusal) => assert_eq!(refusal.limit(), Some("a, local share")),
            }
        }
        let_through.push(passed);
        store.set(false);
    }
    assert_eq!(let_through, [2, 0, 0, 0, 0]);
    for limit in [limits.1, limits.2] {
        assert_eq!(left(&limits.0, limit, "share").await, 4, "the store has let five through");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_takes_limits_together() {
    let folder = Folder::new();
    hold(folder.open(), folder.open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_takes_limits_together() {
    let (server, namespace) = (Server::start().await, unique());
    let open = async || RedisStore::new(server.connect().await).namespace(namespace.clone());
    hold(open().await, open().await).await;
    let optimistic = async || open().await.namespace(format!("{namespace} here")).optimistic();
    hold(optimistic().await, optimistic().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_takes_limits_together() {
    let store = postgres::store(&unique().replace('-', "_")).await;
    hold(store.clone(), store).await;
    let here = postgres::store(&unique().replace('-', "_")).await.decided_here();
    hold(here.clone(), here).await;
}
