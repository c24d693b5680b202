//! Setting up a limiter over a store.

use super::{
    super::KeyedRateLimiter,
    StoredLimiter,
    failing::{Failing, OnFailure},
    inquiry::Inquiry,
    known::Known,
    refused::Refused,
    reins::Reins,
    settings::Settings,
    shared::Shared,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    invalid::Invalid,
    meters::{KeyMeter, Meters},
    store::{Store, StoredLimit},
};
use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

/// Sets up a [`StoredLimiter`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_ratelimit::{OnFailure, Rate, SlidingWindow, StoredLimiter, store::MemoryStore};
///
/// let limit = SlidingWindow::new(Rate::per_minute(600)?);
/// // Four processes: each lets through a quarter while the store is away.
/// let share = OnFailure::Local(SlidingWindow::new(Rate::per_minute(150)?));
/// let limiter = StoredLimiter::builder("api", MemoryStore::default(), limit, share)
///     .deadline(Duration::from_millis(100))?
///     .breaker(3, Duration::from_secs(5))?
///     .remember_refused(10_000)?
///     .build()?;
/// # limiter.key("alice").try_acquire().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder limits nothing until it is built"]
pub struct StoredBuilder<A, S> {
    name: Arc<str>,
    store: S,
    algorithm: A,
    on_failure: OnFailure<A>,
    settings: Settings,
    refused: Option<usize>,
}

impl<A: Algorithm, S: Store<A>> StoredBuilder<A, S> {
    pub(super) fn new(name: Arc<str>, store: S, algorithm: A, on_failure: OnFailure<A>) -> Self {
        let settings = Settings::default();
        Self { name, store, algorithm, on_failure, settings, refused: None }
    }

    /// Sets how long a decision of the store may take, connecting to it included; 1 s by default.
    /// It does not bound how long a call waits for its turn.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero.
    pub fn deadline(mut self, deadline: Duration) -> Result<Self, Invalid> {
        self.settings.set_deadline(deadline)?;
        Ok(self)
    }

    /// Opens the circuit breaker after `failures` consecutive failures, for `pause`: no call asks
    /// the store then. After that one call probes it, and closes or reopens the breaker. 5 failures
    /// and 1 s by default.
    ///
    /// A batch that fails is one failure, however many callers travelled in it. What the store answers
    /// about one key, which is that nobody can read its record, is none.
    ///
    /// Each [shard](Store::shard) of the store is left alone by itself, a slot of a cluster as well: a
    /// server that is away takes the keys of no other with it. Which slots it has nobody knows here, so
    /// that each of them in use has to fail as often; until then its callers wait for the
    /// [deadline](Self::deadline).
    ///
    /// # Errors
    ///
    /// [`Invalid`] when either is zero.
    pub fn breaker(mut self, failures: u32, pause: Duration) -> Result<Self, Invalid> {
        self.settings.set_breaker(failures, pause)?;
        Ok(self)
    }

    /// Sets how many asks may be under way at the same time; 100,000 by default. One more fares as
    /// if the store did not answer.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero.
    pub fn max_asks(mut self, asks: usize) -> Result<Self, Invalid> {
        self.settings.set_max_asks(asks)?;
        Ok(self)
    }

    /// Sets how many calls may travel to the store in one batch; 1,024 by default. Those that come while others
    /// are under way wait for the next one: with 1 there is no group commit, and under load the store is asked
    /// no oftener, so that calls wait for longer. It is for stores to which large batches are a burden.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero.
    pub fn max_batch(mut self, calls: usize) -> Result<Self, Invalid> {
        self.settings.set_max_batch(calls)?;
        Ok(self)
    }

    /// Lets at most this many calls of this process wait at the same key; further ones fail at once
    /// with [`QueueFull`](crate::Reason::QueueFull), and what the store has granted them goes back.
    /// Without it any number may wait.
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.settings.max_waiting = calls;
        self
    }

    /// Remembers up to this many keys that the store has refused, and refuses them without asking
    /// until the time it named: an attack costs no round trips then. Off by default.
    ///
    /// What other processes give back or change is seen by such a key after that time only.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero.
    pub fn remember_refused(mut self, keys: usize) -> Result<Self, Invalid> {
        if keys == 0 {
            return Err(Invalid::new("remember_refused", keys, "at least 1"));
        }
        self.refused = Some(keys);
        Ok(self)
    }

    /// Sets the clock by which deadlines are measured and calls wait for their turns; the store has
    /// its own. [`Clock::monotonic`] by default.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = clock.into();
        self
    }

    /// Builds the limiter. It belongs to the runtime in which it is built, which has to be running
    /// wherever calls come from: batches travel there for threads that have no runtime, and the
    /// deadlines of its own callers are kept there.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the store cannot keep to the algorithm, when the name is empty, and outside
    /// a tokio runtime.
    pub fn build(self) -> Result<StoredLimiter<A, S>, Invalid> {
        if self.name.is_empty() {
            return Err(Invalid::new("name", "empty", "a name, under which the store keeps it"));
        }
        let algorithm = self.store.keep_to(self.algorithm)?;
        let meters = Meters::new(Some(&self.name));
        let on_failure = self.on_failure.name();
        let failing = match self.on_failure {
            OnFailure::Refuse => Failing::Refuse,
            OnFailure::Admit => Failing::Admit,
            OnFailure::Local(share) => {
                let name = format!("{}, local share", self.name);
                let local = KeyedRateLimiter::builder(share).name(name);
                let local = local.max_waiting(self.settings.max_waiting);
                Failing::Local(local.clock(self.settings.clock.clone()).build())
            }
        };
        let refused = self.refused.map(|keys| Refused::new(keys, KeyMeter::new(Some(&self.name))));
        let known = Known::new(refused, self.settings.max_waiting);
        let limit = Some(Arc::clone(&self.name));
        let inquiry = Inquiry::new(self.store, known, on_failure, limit, self.settings)?;
        let limit = StoredLimit { name: self.name, algorithm };
        Ok(StoredLimiter(Arc::new(Shared {
            limit: RwLock::new(Arc::new(limit)),
            inquiry,
            failing,
            reins: Reins::default(),
            meters,
        })))
    }
}
