//! Setting up a limiter.

use super::{
    AtCapacity, KeyedRateLimiter, RateLimiter,
    lanes::Lanes,
    rules::Rules,
    shared::{Settings, Shared},
    single::Single,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    invalid::Invalid,
    meters::KeyMeter,
    store::table::{Fingerprint, Seed, Table},
};
use std::{sync::Arc, time::Duration};

/// How many keys are kept unless said otherwise.
const MAX_KEYS: usize = 100_000;

/// Sets up a [`RateLimiter`] or a [`KeyedRateLimiter`].
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::{AtCapacity, KeyedRateLimiter, Rate, RateLimiter, SlidingWindow, Strict};
///
/// let outgoing = RateLimiter::builder(Strict::new(Rate::per_second(5)?))
///     .name("outgoing")
///     .max_waiting(1000)
///     .slack(Duration::from_millis(50)) // the server's clock may be behind
///     .build();
/// let logins = KeyedRateLimiter::builder(SlidingWindow::new(Rate::per_minute(5)?))
///     .name("logins")
///     .max_keys(1_000_000)?
///     .at_capacity(AtCapacity::Refuse)
///     .build();
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
///
/// # From a file
///
/// With the feature `serde` a builder is read from a table: the fields of the algorithm, and beside
/// them `name`, `max_waiting`, `slack` and, for a limit per key, `max_keys` and `at_capacity`
/// (`"share_one"` or `"refuse"`), all of which may be left out. What the setters refuse is refused
/// with the same error, and so is an unknown field. The clock is not a part of it.
///
/// ```
/// # #[cfg(feature = "serde")] {
/// use tower_ratelimit::{AnyAlgorithm, Builder, limiter::ManyLimits};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     outgoing: Builder<AnyAlgorithm>,
///     logins: Builder<AnyAlgorithm, ManyLimits>,
/// }
///
/// let config: Config = toml::from_str(
///     r#"
///     [outgoing]
///     algorithm = "leaky_bucket"
///     rate = "10/s"
///     capacity = 5
///     max_waiting = 1000
///
///     [logins]
///     algorithm = "sliding_window"
///     rates = ["5/min", "20/hour"]
///     max_keys = 50000
///     at_capacity = "refuse"
///     "#,
/// )?;
/// let outgoing = config.outgoing.build();
/// let logins = config.logins.build();
/// # outgoing.try_acquire_many(5).expect("five fit into the bucket");
/// # logins.key("alice").try_acquire_many(5).expect("five a minute");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder limits nothing until it is built"]
pub struct Builder<A, K = SingleLimit> {
    pub(super) algorithm: A,
    pub(super) settings: Settings,
    pub(super) keys: K,
}

/// Marks the [`Builder`] of a single limit.
#[derive(Clone, Debug, Default)]
pub struct SingleLimit(());

/// The settings of keys, in the [`Builder`] of a limit for each key.
#[derive(Clone, Debug)]
pub struct ManyLimits {
    pub(super) max_keys: usize,
    pub(super) at_capacity: AtCapacity,
    pub(super) list_keys: bool,
}

impl<A: Algorithm, K> Builder<A, K> {
    /// Delays waiting calls by this much more than necessary, for a limit that a server counts as
    /// well, by a clock of its own. Calls that need not wait are not delayed. Zero by default.
    pub fn slack(mut self, slack: Duration) -> Self {
        self.settings.slack = slack;
        self
    }

    /// Names the limit, for errors, events and metrics.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Sets the clock; [`Clock::monotonic`] by default.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = clock.into();
        self
    }

    /// Lets at most this many calls wait in the same line; further ones fail at once with
    /// [`QueueFull`](crate::Reason::QueueFull). Unbounded by default. Each key has a line of its
    /// own.
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.settings.max_waiting = calls;
        self
    }
}

impl<A: Algorithm> Builder<A> {
    pub(super) fn new(algorithm: A) -> Self {
        Self { algorithm, settings: Settings::default(), keys: SingleLimit::default() }
    }

    /// Builds the limiter.
    #[must_use]
    pub fn build(self) -> RateLimiter<A> {
        let lanes = Lanes::One(Single::new(Rules::new(self.algorithm, self.settings.slack.into())));
        let shared = Arc::new(Shared::new(self.settings, lanes));
        RateLimiter::from_shared(shared, Fingerprint::OVERFLOW, None)
    }
}

impl<A: Algorithm> Builder<A, ManyLimits> {
    pub(super) fn keyed(algorithm: A) -> Self {
        Self {
            algorithm,
            settings: Settings::default(),
            keys: ManyLimits {
                max_keys: MAX_KEYS,
                at_capacity: AtCapacity::default(),
                list_keys: false,
            },
        }
    }

    /// Keeps at most this many keys at the same time, 1 and up; 100,000 by default.
    ///
    /// A key is forgotten once its state equals that of a new one, which changes no answer. What
    /// happens to a new key when all are in use is set by [`at_capacity`](Self::at_capacity).
    ///
    /// Where the state of a key is one instant, as that of a [`LeakyBucket`](crate::LeakyBucket) is, a key takes 22
    /// to 25 bytes. The system is asked at once for room for all that there may be, 27 bytes a key and 1 GiB at most, but
    /// as a rule takes memory only as keys come. A key of a [`SlidingWindow`](crate::SlidingWindow) takes 16 bytes
    /// for each call in its window: for many keys with high limits take a
    /// [`SlidingWindowCounter`](crate::SlidingWindowCounter), with 24 bytes of state for each key.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the number is zero.
    pub fn max_keys(mut self, keys: usize) -> Result<Self, Invalid> {
        if keys == 0 {
            return Err(Invalid::new("max_keys", keys, "at least 1"));
        }
        self.keys.max_keys = keys;
        Ok(self)
    }

    /// Sets what happens to a new key when the maximum number of keys is in use:
    /// [`AtCapacity::ShareOne`] by default.
    pub fn at_capacity(mut self, policy: AtCapacity) -> Self {
        self.keys.at_capacity = policy;
        self
    }

    /// Keeps the keys themselves, not only their hashes, so that [`list`](KeyedRateLimiter::list)
    /// returns them. That takes the memory of the keys, and one more lock for each call.
    pub fn list_keys(mut self) -> Self {
        self.keys.list_keys = true;
        self
    }

    /// Builds the limiter.
    #[must_use]
    pub fn build(self) -> KeyedRateLimiter<A> {
        self.build_with(Seed::random())
    }

    /// The limiter, with this seed for the hashes of its keys.
    pub(super) fn build_with(self, seed: Seed) -> KeyedRateLimiter<A> {
        let meter = KeyMeter::new(self.settings.name.as_ref());
        let rules = Rules::new(self.algorithm, self.settings.slack.into());
        let mut table = Table::new(seed, self.keys.max_keys, &rules, meter);
        if self.keys.list_keys {
            table.keep_names();
        }
        let lanes = Lanes::Many(table, self.keys.at_capacity);
        KeyedRateLimiter::from_shared(Arc::new(Shared::new(self.settings, lanes)))
    }
}
