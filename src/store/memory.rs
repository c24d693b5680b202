//! A store in this process.

use super::{Answer, Batch, Record, Records, Store, StoreError, StoreKey, StoredLimit};
use crate::{algorithm::Algorithm, clock::Clock, nanos::Nanos};
use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A [`Store`] in this process: for tests of code that uses a store, and what other stores are
/// compared with.
///
/// Clones share what they keep. A limit that never leaves the process is better off with a
/// [`RateLimiter`](crate::RateLimiter) or a [`KeyedRateLimiter`](crate::KeyedRateLimiter): they
/// need no batches, and the memory of the latter is bounded. Of this one it is not: it forgets what
/// equals new whenever it has grown to twice its size, and nothing else.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_ratelimit::{
///     ManualClock, OnFailure, Rate, SlidingWindow, StoredLimiter, store::MemoryStore,
/// };
///
/// let time = ManualClock::new();
/// let store = MemoryStore::with_clock(time.clone());
/// let limit = SlidingWindow::new(Rate::per_minute(1)?);
/// let limiter = StoredLimiter::builder("logins", store, limit, OnFailure::Refuse).build()?;
///
/// limiter.key("alice").try_acquire().await?;
/// limiter.key("alice").try_acquire().await.expect_err("one a minute");
/// time.advance(Duration::from_secs(60));
/// limiter.key("alice").try_acquire().await?;
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore<A: Algorithm> {
    kept: Arc<Mutex<Kept<A>>>,
    clock: Clock,
}

/// Each record, and from when on it equals a new one.
type Keys<S> = HashMap<StoreKey, (Record<S>, Nanos)>;

struct Kept<A: Algorithm> {
    limits: HashMap<Arc<str>, Keys<A::State>>,
    records: usize,
    /// How many records there may be before some are forgotten.
    enough: usize,
    now: Nanos,
}

/// How many records are kept without a look at whether they are needed.
const FEW: usize = 1024;

impl<A: Algorithm> MemoryStore<A> {
    /// Creates a store that tells the time by this clock.
    #[must_use]
    pub fn with_clock(clock: impl Into<Clock>) -> Self {
        Self { clock: clock.into(), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<A>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Algorithm> Default for MemoryStore<A> {
    fn default() -> Self {
        let kept = Kept { limits: HashMap::new(), records: 0, enough: FEW, now: Nanos::ZERO };
        Self { kept: Arc::new(Mutex::new(kept)), clock: Clock::default() }
    }
}

impl<A: Algorithm> Store<A> for MemoryStore<A> {
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        let mut kept = self.lock();
        kept.now = batch.now().unwrap_or_else(|| self.clock.now());
        let now = kept.now;
        match batch.answer(now, &mut *kept) {
            Ok(answers) => Ok(answers),
            Err(never) => match never {},
        }
    }
}

impl<A: Algorithm> Records<A> for Kept<A> {
    type Error = Infallible;

    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Infallible> {
        let kept = self.limits.get(&limit.name).and_then(|keys| keys.get(key));
        Ok(kept.map(|(record, _)| record.clone()))
    }

    fn save(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
        record: Record<A::State>,
        new_at: Nanos,
    ) -> Result<(), Infallible> {
        let keys = self.limits.entry(Arc::clone(&limit.name)).or_default();
        if keys.insert(key.clone(), (record, new_at)).is_none() {
            self.records += 1;
            self.tidy();
        }
        Ok(())
    }

    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Infallible> {
        let forgotten = self.limits.get_mut(&limit.name).and_then(|keys| keys.remove(key));
        self.records -= usize::from(forgotten.is_some());
        Ok(())
    }
}

impl<A: Algorithm> Kept<A> {
    /// Forgets what equals new, when enough has come together to make it worth a look at all.
    fn tidy(&mut self) {
        if self.records < self.enough {
            return;
        }
        for keys in self.limits.values_mut() {
            keys.retain(|_, (_, new_at)| *new_at > self.now);
        }
        self.limits.retain(|_, keys| !keys.is_empty());
        self.records = self.limits.values().map(HashMap::len).sum();
        self.enough = (2 * self.records).max(FEW);
    }
}

impl<A: Algorithm> Clone for MemoryStore<A> {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), clock: self.clock.clone() }
    }
}

impl<A: Algorithm> fmt::Debug for MemoryStore<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("records", &self.lock().records).finish_non_exhaustive()
    }
}
