//! Setting up several limits.

use super::{
    JointLimiter, board::Board, forecast::Forecast, kept::Kept, limit::Limit, shared::Shared,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    invalid::Invalid,
    limiter::{AtCapacity, LimitId, limit_id::next_limiter, rules::Gate},
    meters::{KeyMeter, Meters},
    store::table::Seed,
};
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

/// How many keys of each limit are kept unless said otherwise.
const MAX_KEYS: usize = 100_000;

/// Sets up a [`JointLimiter`].
///
/// ```
/// use tower_ratelimit::{AtCapacity, JointLimiter, Rate, SlidingWindow, Strict};
///
/// let mut limits = JointLimiter::builder()
///     .max_waiting(1000)
///     .max_keys(1_000_000)?
///     .at_capacity(AtCapacity::Refuse);
/// let per_user = limits.limit("per user", SlidingWindow::new(Rate::per_minute(60)?))?;
/// let over_all = limits.limit("over all", Strict::new(Rate::per_second(500)?))?;
/// let limiter = limits.build();
/// limiter.on(per_user, "alice").on(over_all, &()).try_acquire().expect("the first call");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[must_use = "a builder limits nothing until it is built"]
pub struct JointBuilder {
    id: u64,
    clock: Clock,
    max_waiting: usize,
    max_keys: usize,
    at_capacity: AtCapacity,
    slack: Duration,
    limits: Vec<Named>,
}

struct Named {
    name: Arc<str>,
    build: Box<dyn FnOnce(usize, KeyMeter) -> Box<dyn Limit> + Send>,
}

impl JointBuilder {
    pub(super) fn new() -> Self {
        Self {
            id: next_limiter(),
            clock: Clock::default(),
            max_waiting: usize::MAX,
            max_keys: MAX_KEYS,
            at_capacity: AtCapacity::default(),
            slack: Duration::ZERO,
            limits: Vec::new(),
        }
    }

    /// Adds a limit, by this name in errors, events and metrics, and returns how calls name it. It
    /// has a state for each key; for one over all, call it with the key `()`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there is a limit of this name already.
    pub fn limit<A: Algorithm>(
        &mut self,
        name: impl Into<Arc<str>>,
        algorithm: A,
    ) -> Result<LimitId, Invalid> {
        let name = name.into();
        if self.limits.iter().any(|limit| limit.name == name) {
            return Err(Invalid::new("name", name, "one that no other limit has"));
        }
        let build = |max_keys, meter| Box::new(Kept::new(algorithm, max_keys, meter)) as _;
        self.limits.push(Named { name, build: Box::new(build) });
        Ok(LimitId { of: self.id, index: self.limits.len() - 1 })
    }

    /// Sets the clock; [`Clock::monotonic`] by default.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Delays waiting calls by this much more than necessary, for limits that a server counts as
    /// well, by a clock of its own. Calls that need not wait are not delayed. Zero by default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_ratelimit::{JointLimiter, ManualClock, Rate, SlidingWindow};
    ///
    /// let builder = JointLimiter::builder().clock(ManualClock::new());
    /// let mut limits = builder.slack(Duration::from_millis(50));
    /// let vendor = limits.limit("vendor", SlidingWindow::new(Rate::per_second(1)?))?;
    /// let call = limits.build().on(vendor, &());
    /// call.try_acquire().expect("the first call is not held up");
    /// let refused = call.acquire().max_wait(Duration::from_secs(1)).blocking_wait().unwrap_err();
    /// assert_eq!(refused.retry_after(), Some(Duration::from_millis(1050)));
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn slack(mut self, slack: Duration) -> Self {
        self.slack = slack;
        self
    }

    /// Lets at most this many calls wait for the same key of a limit; further ones fail at once
    /// with [`QueueFull`](crate::Reason::QueueFull). Unbounded by default.
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Keeps at most this many keys of each limit at the same time, 1 and up; 100,000 by default.
    /// The keys of one limit take no room from those of another.
    ///
    /// A key is forgotten once its state equals that of a new one and no call waits for it, which
    /// changes no answer. What happens to a new key when all are in use is set by
    /// [`at_capacity`](Self::at_capacity).
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the number is zero.
    pub fn max_keys(mut self, keys: usize) -> Result<Self, Invalid> {
        if keys == 0 {
            return Err(Invalid::new("max_keys", keys, "at least 1"));
        }
        self.max_keys = keys;
        Ok(self)
    }

    /// Sets what happens to a new key when the maximum number of keys of its limit is in use:
    /// [`AtCapacity::ShareOne`] by default. A call that has a key refused is refused
    /// whole, and takes nothing of its other limits.
    pub fn at_capacity(mut self, policy: AtCapacity) -> Self {
        self.at_capacity = policy;
        self
    }

    /// The limit of this name, and the one under which it counts as a share of a limit in a store.
    pub(in crate::limiter) fn share_of(&mut self, name: &str) -> Option<LimitId> {
        let index = self.limits.iter().position(|limit| *limit.name == *name)?;
        self.limits[index].name = format!("{name}, local share").into();
        Some(LimitId { of: self.id, index })
    }

    /// Builds the limiter.
    #[must_use]
    pub fn build(self) -> JointLimiter {
        let names: Vec<_> = self.limits.iter().map(|limit| Arc::clone(&limit.name)).collect();
        let build = |limit: Named| (limit.build)(self.max_keys, KeyMeter::new(Some(&limit.name)));
        let slack = self.slack.into();
        let board = Board {
            limits: self.limits.into_iter().map(build).collect(),
            meters: names.iter().map(|name| Meters::new(Some(name))).collect(),
            lines: Default::default(),
            calls: Default::default(),
            dues: Default::default(),
            perishing: Default::default(),
            look: Vec::new(),
            forecast: Forecast::new(slack),
            max_waiting: self.max_waiting,
            at_capacity: self.at_capacity,
            slack,
            gate: Gate::Working,
            wakes: Default::default(),
        };
        JointLimiter::from_shared(Arc::new(Shared {
            id: self.id,
            clock: self.clock,
            seed: Seed::random(),
            names,
            board: Mutex::new(board),
        }))
    }
}

impl fmt::Debug for JointBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.limits.iter().map(|limit| &limit.name).collect();
        f.debug_struct("JointBuilder").field("limits", &names).finish_non_exhaustive()
    }
}
