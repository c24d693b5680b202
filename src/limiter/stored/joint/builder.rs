//! Setting up several limits over a store.

use super::{
    super::{failing::OnFailure, inquiry::Inquiry, known::Known, reins::Reins, settings::Settings},
    StoredJointLimiter,
    failing::{Failing, Share},
    shared::Shared,
};
use crate::{
    algorithm::AnyAlgorithm,
    clock::Clock,
    invalid::Invalid,
    limiter::{JointBuilder, LimitId, limit_id::next_limiter},
    meters::Meters,
    store::{Store, StoredLimit},
};
use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

/// Sets up a [`StoredJointLimiter`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_ratelimit::{
///     JointLimiter, OnFailure, Rate, SlidingWindow, StoredJointLimiter, store::MemoryStore,
/// };
///
/// // Four processes: each lets through a quarter while the store is away.
/// let mut share = JointLimiter::builder();
/// share.limit("per user", SlidingWindow::new(Rate::per_minute(15)?))?;
/// share.limit("over all", SlidingWindow::new(Rate::per_second(125)?))?;
///
/// let builder = StoredJointLimiter::builder(MemoryStore::default(), OnFailure::Local(share));
/// let mut limits = builder.deadline(Duration::from_millis(100))?;
/// let per_user = limits.limit("per user", SlidingWindow::new(Rate::per_minute(60)?))?;
/// let over_all = limits.limit("over all", SlidingWindow::new(Rate::per_second(500)?))?;
/// let limiter = limits.build()?;
/// # limiter.on(per_user, "alice").on(over_all, &()).try_acquire().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder limits nothing until it is built"]
pub struct StoredJointBuilder<S> {
    id: u64,
    store: S,
    on_failure: OnFailure<JointBuilder>,
    settings: Settings,
    limits: Vec<StoredLimit<AnyAlgorithm>>,
}

impl<S: Store<AnyAlgorithm>> StoredJointBuilder<S> {
    pub(super) fn new(store: S, on_failure: OnFailure<JointBuilder>) -> Self {
        let (settings, limits) = (Settings::default(), Vec::new());
        Self { id: next_limiter(), store, on_failure, settings, limits }
    }

    /// Adds a limit, which is known to the store by this name, and returns how calls name it. It
    /// has a state for each key; for one over all, call it with the key `()`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the store cannot keep to the algorithm, when the name is empty, and when there is a
    /// limit of this name already.
    pub fn limit(
        &mut self,
        name: impl Into<Arc<str>>,
        algorithm: impl Into<AnyAlgorithm>,
    ) -> Result<LimitId, Invalid> {
        let name = name.into();
        if name.is_empty() {
            return Err(Invalid::new("name", "empty", "a name, under which the store keeps it"));
        }
        if self.limits.iter().any(|limit| limit.name == name) {
            return Err(Invalid::new("name", name, "one that no other limit has"));
        }
        let algorithm = self.store.keep_to(algorithm.into())?;
        self.limits.push(StoredLimit { name, algorithm });
        Ok(LimitId { of: self.id, index: self.limits.len() - 1 })
    }

    /// Sets how long a decision of the store may take, 1 s by default, as
    /// [`StoredBuilder::deadline`](crate::StoredBuilder::deadline) does.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero.
    pub fn deadline(mut self, deadline: Duration) -> Result<Self, Invalid> {
        self.settings.set_deadline(deadline)?;
        Ok(self)
    }

    /// Opens the circuit breaker of a shard of the store after `failures` consecutive failures, for
    /// `pause`, as [`StoredBuilder::breaker`](crate::StoredBuilder::breaker) does. 5 failures and
    /// 1 s by default.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when either is zero.
    pub fn breaker(mut self, failures: u32, pause: Duration) -> Result<Self, Invalid> {
        self.settings.set_breaker(failures, pause)?;
        Ok(self)
    }

    /// Sets how many asks may be under way at the same time, 100,000 by default, as
    /// [`StoredBuilder::max_asks`](crate::StoredBuilder::max_asks) does.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero.
    pub fn max_asks(mut self, asks: usize) -> Result<Self, Invalid> {
        self.settings.set_max_asks(asks)?;
        Ok(self)
    }

    /// Sets how many calls may travel to the store in one batch, 1,024 by default, as
    /// [`StoredBuilder::max_batch`](crate::StoredBuilder::max_batch) does.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero.
    pub fn max_batch(mut self, calls: usize) -> Result<Self, Invalid> {
        self.settings.set_max_batch(calls)?;
        Ok(self)
    }

    /// As [`StoredBuilder::max_waiting`](crate::StoredBuilder::max_waiting): how many calls of this process may
    /// wait at the same key of a limit. Without it any number may wait. A local share has a bound of its own.
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.settings.max_waiting = calls;
        self
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
    /// [`Invalid`] when the share of this process lacks one of the limits, and outside a tokio runtime.
    pub fn build(self) -> Result<StoredJointLimiter<S>, Invalid> {
        let names: Vec<_> = self.limits.iter().map(|limit| Arc::clone(&limit.name)).collect();
        let on_failure = self.on_failure.name();
        let failing = match self.on_failure {
            OnFailure::Refuse => Failing::Refuse,
            OnFailure::Admit => Failing::Admit,
            OnFailure::Local(mut share) => {
                let limits = names.iter().map(|name| {
                    let share_of_it = share.share_of(name);
                    let missing = || Invalid::new("share", "none", format!("a limit {name:?}"));
                    share_of_it.ok_or_else(missing)
                });
                let limits = limits.collect::<Result<_, _>>()?;
                let limiter = share.clock(self.settings.clock.clone()).build();
                Failing::Local(Share { limiter, limits })
            }
        };
        let known = Known::new(None, self.settings.max_waiting);
        // Asks about several limits travel together: they bear no name.
        let inquiry = Inquiry::new(self.store, known, on_failure, None, self.settings)?;
        Ok(StoredJointLimiter(Arc::new(Shared {
            id: self.id,
            meters: names.iter().map(|name| Meters::new(Some(name))).collect(),
            names,
            limits: self.limits.into_iter().map(|limit| RwLock::new(Arc::new(limit))).collect(),
            inquiry,
            failing,
            reins: Reins::default(),
        })))
    }
}
