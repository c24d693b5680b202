//! The limit of one key, kept by a store.

use super::super::{Patience, Terms};
use super::{StoredAcquire, StoredPermit, line::Lane, shared::Shared};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Take},
    error::{RateLimited, Reason},
    events,
    store::{Store, StoreAsk, StoreError, StoreKey},
};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;

/// The limit of one key of a [`StoredLimiter`](super::StoredLimiter).
///
/// Each call is one round trip to the store, which it shares with the calls of others. A handle,
/// made anew for each call or kept.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_ratelimit::{OnFailure, Rate, StoredLimiter, TokenBucket, store::MemoryStore};
///
/// let tokens = TokenBucket::new(Rate::per_minute(1000)?).capacity(1000)?;
/// let model = StoredLimiter::builder("tokens", MemoryStore::default(), tokens, OnFailure::Refuse);
/// let alice = model.build()?.key("alice");
///
/// alice.try_acquire_many(600).await?; // now or not at all
/// alice.charge(350).await?; // the answer was longer than that
/// assert_eq!(alice.peek(0).await?.remaining, 50);
/// let wait = alice.acquire().cost(100).max_wait(Duration::from_millis(10)).await;
/// assert!(wait.unwrap_err().retry_after() > Some(Duration::from_secs(2)));
/// # Ok(())
/// # }
/// ```
pub struct StoredKey<A: Algorithm, S: Store<A>> {
    shared: Arc<Shared<A, S>>,
    key: StoreKey,
}

impl<A: Algorithm, S: Store<A>> StoredKey<A, S> {
    pub(super) fn new(shared: Arc<Shared<A, S>>, key: StoreKey) -> Self {
        Self { shared, key }
    }

    /// Takes one permit now, or not at all. It waits only for the store to answer.
    ///
    /// # Errors
    ///
    /// [`RateLimited`] when there is no permit, or the store does not answer and calls are
    /// [refused](super::OnFailure::Refuse) then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes nothing: what was granted meanwhile goes back.
    pub async fn try_acquire(&self) -> Result<StoredPermit<A, S>, RateLimited> {
        self.acquire_on(Terms { cost: 1, patience: Patience::Now }).await
    }

    /// Takes `cost` permits now, or none of them.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`TooCostly`](Reason::TooCostly) when that
    /// many could never be had.
    ///
    /// # Cancel safety
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub async fn try_acquire_many(&self, cost: u32) -> Result<StoredPermit<A, S>, RateLimited> {
        self.acquire_on(Terms { cost, patience: Patience::Now }).await
    }

    /// Takes one permit and waits for its turn; [`StoredAcquire`] says how to ask for more, or to
    /// wait less.
    pub fn acquire(&self) -> StoredAcquire<A, S> {
        StoredAcquire::new(self.clone())
    }

    pub(super) async fn acquire_on(&self, terms: Terms) -> Result<StoredPermit<A, S>, RateLimited> {
        loop {
            let ticket = self.shared.reserve(&self.key, &terms).await?;
            // Those of the share of this process perish where the caller is not let run for long.
            if let Ok(permit) = StoredPermit::new(Arc::clone(&self.shared), ticket) {
                return Ok(permit);
            }
        }
    }

    /// The same in this thread, while a task waits in its place.
    pub(super) fn block_on(&self, terms: Terms) -> Result<StoredPermit<A, S>, RateLimited> {
        let (permit, granted) = oneshot::channel();
        let waits = self.clone();
        self.shared.inquiry.pipeline.runtime().spawn(async move {
            let _ = permit.send(waits.acquire_on(terms).await);
        });
        granted.blocking_recv().unwrap_or_else(|_| {
            let refusal = self.shared.refusal(Reason::Unavailable, terms);
            Err(refusal.with_cause(StoreError::new("the runtime of the limiter has ended")))
        })
    }

    /// Returns what would happen to a call of this cost now, and takes nothing; at a cost of 0, how
    /// the limit stands.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](Reason::Unavailable) when the store does not answer, whatever is configured
    /// for calls then.
    pub async fn peek(&self, cost: u32) -> Result<Decision, RateLimited> {
        self.tell(StoreAsk::Ask(Ask::Peek(Take::fresh(cost))), cost).await
    }

    /// Takes permits whether they are available or not: for a call that turned out to cost more
    /// than it asked for, or as a penalty. What is missing is a debt, and no call passes before it
    /// is paid off.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](Reason::Unavailable) when the store does not answer; whether anything was
    /// taken is not known then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have been taken or not.
    pub async fn charge(&self, cost: u32) -> Result<(), RateLimited> {
        self.tell(StoreAsk::Ask(Ask::Charge(cost)), cost).await.map(drop)
    }

    /// Resets the key to fresh state: the next call passes at once. Waiting calls of this process
    /// fail with [`Cancelled`](Reason::Cancelled), and those of others keep their turns.
    ///
    /// Permits that were granted before and go back later let up to as many more pass.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](Reason::Unavailable) when the store does not answer; whether it began
    /// anew is not known then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have begun anew or not.
    pub async fn reset(&self) -> Result<(), RateLimited> {
        let _ = self.tell(StoreAsk::Forget, 0).await?;
        let lane = Lane { limit: Arc::clone(&self.shared.limit().name), key: self.key.clone() };
        events::control(Some(&lane.limit), "reset_key");
        self.shared.inquiry.known().reset(&lane);
        Ok(())
    }

    async fn tell(&self, ask: StoreAsk, cost: u32) -> Result<Decision, RateLimited> {
        let terms = Terms { cost, patience: Patience::Now };
        let now = self.shared.now();
        match self.shared.ask(self.shared.limit(), &self.key, ask, now).await {
            Ok(decided) => Ok(decided.take().decision),
            Err(error) => Err(self.shared.refusal(Reason::Unavailable, terms).with_cause(error)),
        }
    }
}

impl<A: Algorithm, S: Store<A>> Clone for StoredKey<A, S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), key: self.key.clone() }
    }
}

impl<A: Algorithm, S: Store<A>> fmt::Debug for StoredKey<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKey").field("key", &self.key).finish_non_exhaustive()
    }
}
