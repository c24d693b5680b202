//! A clock that is cheap to read because it ticks rarely.

#[cfg(target_os = "linux")]
mod reading;
#[cfg(not(target_os = "linux"))]
#[path = "no_reading.rs"]
mod reading;

use self::reading::Reading;
use super::Clock;
use crate::nanos::Nanos;

/// The time at the last tick, since that of the tick before the clock was made.
#[derive(Clone, Debug)]
pub(super) struct Coarse {
    origin: Reading,
}

impl Clock {
    /// Returns a clock that is cheap to read because it ticks rarely, for limits whose intervals
    /// are much longer than its ticks.
    ///
    /// On Linux it is `CLOCK_MONOTONIC_COARSE`, which shows the time at the last tick of the
    /// kernel's timer: every 1 to 10 ms as the kernel was built, 4 ms for most. Reading it takes
    /// about 4 ns where [`monotonic`](Self::monotonic) takes 25. Other systems have no such
    /// clock, and there it is the standard library's one, no cheaper and as fine.
    ///
    /// It is never ahead of the time, and at most a tick behind. So calls are let go up to a tick
    /// late, never early by this clock; by a finer one, two calls may be closer by a tick than the
    /// limit keeps them apart, as the first of them may have come at the end of its tick. What an
    /// algorithm publishes as its bound for a length of time holds for that length less a tick.
    /// And a limit lets go once a tick what it lets go at once: to reach 10,000 a second with
    /// ticks of 4 ms takes a burst of 40.
    ///
    /// Callers who wait sleep with tokio's timer and then look at it again, so they are never let
    /// go before it shows their instant. It does not follow tokio's clock where that one
    /// is paused: it shows real time.
    ///
    /// ```
    /// use tower_ratelimit::{Clock, KeyedRateLimiter, Rate, SlidingWindow};
    ///
    /// let limit = SlidingWindow::new(Rate::per_minute(60)?);
    /// let limiter = KeyedRateLimiter::builder(limit).clock(Clock::coarse()).build();
    /// limiter.key("alice").try_acquire_many(60).expect("sixty a minute");
    /// limiter.key("alice").try_acquire().expect_err("it is the same minute");
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    #[must_use]
    pub fn coarse() -> Self {
        Self::of(Coarse { origin: Reading::now() }.into())
    }
}

impl Coarse {
    #[inline(always)]
    pub(super) fn now(&self) -> Nanos {
        Reading::now().since(self.origin)
    }
}
