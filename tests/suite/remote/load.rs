//! Calls of many tasks, while something befalls the store.

use super::{DEADLINE, ms, until};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};
use tokio::time::{Instant, sleep, timeout};
use tower_ratelimit::{
    Algorithm, Decision, OnFailure, Outcome, Quota, RateLimited, Reason, StoredLimiter,
    limiter::{StoredKey, StoredPermit},
    store::Store,
};

/// More than there are calls.
const PERMITS: u32 = 1_000_000;

const TASKS: usize = 8;

/// What may become of an answer in a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// It comes, late at worst: what it grants goes back then.
    Come,
    /// It may be lost: what it grants stays taken.
    MayBeLost,
    /// It may be lost, and the connection asks again: what it grants may be taken more than once.
    MayBeRepeated,
    /// What was granted last may be forgotten, as it was not copied yet.
    MayBeForgotten,
}

/// What has become of calls so far.
#[derive(Default)]
pub(super) struct Load {
    granted: AtomicU32,
    lost: AtomicU32,
    is_over: AtomicBool,
    /// Why a call was refused last.
    cause: Mutex<Option<RateLimited>>,
}

/// Makes calls on one key while `trouble` happens.
///
/// No call hangs, and each is granted or refused because of the store. Calls are granted before and afterwards.
/// All in all the store has counted those that were granted and, of those whose answers were lost, some.
pub(super) async fn under_load<S: Store<Quota>>(
    store: S,
    answers: Answers,
    trouble: impl AsyncFnOnce(&Load),
) {
    let quota = Quota::new(PERMITS).unwrap();
    let limiter = StoredLimiter::builder("quota", store, quota, OnFailure::Refuse);
    let limiter = limiter.deadline(DEADLINE).unwrap().breaker(5, ms(50)).unwrap().build().unwrap();
    let load = Arc::new(Load::default());
    let calls = |task| Arc::clone(&load).calls(limiter.key("a"), task % 2 == 0);
    load.lasts((0..TASKS).map(calls), trouble).await;
    load.adds_up(&limiter.key("a"), answers).await;
}

impl Load {
    /// Waits until many more calls were granted.
    pub(super) async fn goes_on(&self) {
        let enough = self.granted.load(SeqCst) + 50;
        let start = Instant::now();
        while self.granted.load(SeqCst) < enough {
            let cause = &self.cause;
            assert!(start.elapsed() < DEADLINE * 10, "nothing is granted: {cause:?}");
            sleep(ms(1)).await;
        }
    }

    /// Waits until many more calls were refused because of the store.
    pub(super) async fn fails(&self) {
        let enough = self.lost() + 20;
        until("calls are refused", async || self.lost() >= enough).await;
    }

    /// How many calls were refused because of the store.
    pub(super) fn lost(&self) -> u32 {
        self.lost.load(SeqCst)
    }

    /// Goes on with these calls until the trouble is over.
    pub(super) async fn lasts<C: Future<Output: Send> + Send + 'static>(
        &self,
        calls: impl Iterator<Item = C>,
        trouble: impl AsyncFnOnce(&Load),
    ) {
        let calls: Vec<_> = calls.map(tokio::spawn).collect();
        self.goes_on().await;
        trouble(self).await;
        self.goes_on().await;
        self.is_over.store(true, SeqCst);
        for calls in calls {
            calls.await.unwrap();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    /// What the store has decided, unless this call was refused because of it.
    pub(super) async fn ends<A: Algorithm, S: Store<A>>(
        &self,
        call: impl Future<Output = Result<StoredPermit<A, S>, RateLimited>>,
    ) -> Option<Decision> {
        match timeout(DEADLINE * 10, call).await.expect("no call hangs") {
            Ok(permit) => {
                self.granted.fetch_add(1, SeqCst);
                Some(permit.decision().expect("the store has granted it"))
            }
            Err(refusal) => {
                assert_eq!(refusal.reason(), Reason::Unavailable, "{refusal}");
                self.lost.fetch_add(1, SeqCst);
                *self.cause.lock().unwrap() = Some(refusal);
                None
            }
        }
    }

    async fn calls<S: Store<Quota>>(self: Arc<Self>, limit: StoredKey<Quota, S>, waits: bool) {
        while !self.is_over() {
            let call = async {
                match waits {
                    true => limit.acquire().await,
                    false => limit.try_acquire().await,
                }
            };
            self.ends(call).await;
            sleep(ms(1)).await;
        }
    }

    async fn adds_up<S: Store<Quota>>(&self, limit: &StoredKey<Quota, S>, answers: Answers) {
        let taken = async || PERMITS - limit.peek(0).await.unwrap().remaining;
        let granted = self.granted.load(SeqCst);
        if answers == Answers::Come {
            until("what came too late has gone back", async || taken().await == granted).await;
        }
        let taken = taken().await;
        let (least, most) = match answers {
            Answers::Come | Answers::MayBeLost => (granted, granted + self.lost()),
            Answers::MayBeRepeated => (granted, PERMITS),
            Answers::MayBeForgotten => (1, granted + self.lost()),
        };
        assert!((least..=most).contains(&taken), "{taken} of {granted} and {}", self.lost());
        // What came too late may still go back.
        until("all is taken", async || {
            let left = limit.peek(0).await.unwrap().remaining;
            let _ = limit.try_acquire_many(left).await;
            limit.peek(1).await.unwrap().outcome == Outcome::Exhausted
        })
        .await;
    }
}
