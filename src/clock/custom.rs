//! A clock that reads the time elsewhere.

use super::{Clock, Source, left, since_1970, wall_time};
use crate::nanos::Nanos;
use std::{fmt, sync::Arc, time::Duration};

/// How long a caller who waits goes without a look at a clock that may have been set meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// A function that knows the time.
#[derive(Clone)]
pub(super) struct Custom(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// Returns the system's wall clock, which shows the time since 1970-01-01 00:00 UTC: for
    /// windows that are [aligned](crate::FixedWindow::aligned_to) to the calendar, such as days
    /// that begin at midnight, and for instants that mean something outside of this process.
    ///
    /// It is set by people and by the network. Set back, it grants nothing twice: what was used up
    /// stays so until it shows again what it had shown. Only where there are many keys, one that had
    /// recovered by the time shown before may have been forgotten, and begins anew. Set forward, it lets
    /// go at most what the limit saves up. Callers who wait notice within a second. Where none of that is needed,
    /// [`monotonic`](Self::monotonic) is the better one.
    ///
    /// Leap seconds are not counted, so that every day has 86,400 seconds. A clock that shows a
    /// time before 1970 counts as showing that.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_ratelimit::{Clock, FixedWindow, Rate, RateLimiter};
    ///
    /// // A thousand each day, from midnight to midnight UTC.
    /// let days = FixedWindow::new(Rate::per_day(1000)?).aligned_to(Duration::ZERO);
    /// let limiter = RateLimiter::builder(days).clock(Clock::wall()).build();
    ///
    /// // The same in a place that is always two hours ahead: its midnight is at 22:00.
    /// let evening = Duration::from_secs(22 * 3600);
    /// let days = FixedWindow::new(Rate::per_day(1000)?).aligned_to(evening);
    /// # let _ = (limiter, days);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    #[must_use]
    pub fn wall() -> Self {
        Self::from_fn(|| since_1970(wall_time()).into())
    }

    /// Makes a clock of your own: the function says how much time has passed since an instant that
    /// stays the same, such as the clock of a database, which a task reads now and then.
    ///
    /// It is called for each decision and must not block. A clock that is set back is treated as
    /// [`wall`](Self::wall) says. For a test, take a [`ManualClock`](crate::ManualClock): that one
    /// wakes waiting callers when it moves.
    ///
    /// Its speed is unknown, so callers who wait sleep with tokio's timer for as long as seems to
    /// be left, and for a second at most; then they look at it again. A clock that goes as
    /// fast as real time wakes them at the next tick of that timer; a slower one lets them look
    /// more often, and a faster one, or one that was set forward, wakes them late by a second at
    /// most. They are never let go before it shows their instant. Threads
    /// sleep in the same way without a runtime. Where tokio's clock is paused and the function
    /// does not follow it, looking again takes no time.
    ///
    /// ```
    /// use std::{sync::Arc, sync::atomic::{AtomicU64, Ordering}, time::Duration};
    /// use tower_ratelimit::{Clock, Rate, RateLimiter, Strict};
    ///
    /// // A simulation that goes in steps of 100 ms.
    /// let steps = Arc::new(AtomicU64::new(0));
    /// let counted = Arc::clone(&steps);
    /// let clock = Clock::from_fn(move || {
    ///     Duration::from_millis(counted.load(Ordering::Relaxed).saturating_mul(100))
    /// });
    ///
    /// let strict = Strict::new(Rate::per_second(1)?);
    /// let limiter = RateLimiter::builder(strict).clock(clock).build();
    /// limiter.try_acquire().expect("the first call");
    /// steps.store(9, Ordering::Relaxed);
    /// limiter.try_acquire().expect_err("0.9 s later");
    /// steps.store(10, Ordering::Relaxed);
    /// limiter.try_acquire().expect("a second later");
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::of(Source::Custom(Custom(Arc::new(now))))
    }
}

impl Custom {
    pub(super) fn now(&self) -> Nanos {
        (self.0)().into()
    }

    /// How long to sleep before the clock is looked at again, if `at` has not come.
    pub(super) fn left(&self, at: Nanos) -> Option<Duration> {
        left(self.now(), at).map(|left| left.min(LOOK))
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Custom").field(&self.now()).finish()
    }
}
