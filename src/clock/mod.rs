//! The one door to the time.

mod manual;
mod custom;
mod alarm;
mod precise;
mod sleeper;
mod wall;
#[cfg(feature = "conformance")]
mod passing;

pub use manual::ManualClock;

pub(crate) use alarm::Alarm;
pub(crate) use sleeper::Sleeper;
pub(crate) use wall::{WallTime, after_1970, passed, since_1970, wall_time};

use crate::nanos::Nanos;
use custom::Custom;
use tokio::time::Instant;

/// Where a limiter reads the time, and how its callers wait for it to pass.
///
/// Cloning is cheap, and clones tell the same time. That of a limiter which was
/// [restored](crate::Builder::restore) goes on from where the earlier limiter's stood.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// How many nanoseconds it shows more than its source.
    ahead: i64,
}

#[derive(Clone, Debug)]
enum Source {
    Monotonic { origin: Instant, wakes: Wakes },
    Manual(ManualClock),
    Custom(Custom),
}

/// How close to their instants the callers are woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wakes {
    /// At the next tick of tokio's timer.
    Ticking,
    /// As close as it goes.
    Precise,
}

impl Clock {
    /// The monotonic clock of the standard library, the default.
    ///
    /// It follows tokio's clock where that one is paused, so tests with
    /// `#[tokio::test(start_paused = true)]` see exact instants.
    #[must_use]
    pub fn monotonic() -> Self {
        Self::of(Source::Monotonic { origin: Instant::now(), wakes: Wakes::Ticking })
    }

    /// The same, with callers woken within microseconds of their instants, not at the next
    /// millisecond, which is when tokio's timer ticks.
    ///
    /// It is for limits whose slots are closer than a few milliseconds and where a late call
    /// delays those that follow, which is [`Strict`](crate::Strict). The other algorithms make up
    /// for late wake-ups and need it for an even spacing only.
    ///
    /// A caller sleeps with tokio's timer until shortly before its instant. For the last two
    /// milliseconds one thread of its own, shared by all precise clocks and started when there is
    /// something to do, wakes it a little early, and it lets other tasks run until its instant has
    /// come. A wait so keeps a worker of the runtime busy for up to 0.1 ms, and a whole worker
    /// where slots are closer than that.
    ///
    /// `Strict` at 5,000 a second, on two processors with nothing else to do, reached 97.6 % of its
    /// rate with one task and 98.8 % with 16, for 0.4 of a processor; without the precise clock 15.5
    /// and 17.9 %. A task that is not let run is late: beside other work for half of the time
    /// it was 91 to 98 % with one task, and where the processors were always busy 64 to 94 %.
    ///
    /// Where tokio's clock is paused, it is like [`monotonic`](Self::monotonic).
    ///
    /// ```
    /// use tower_ratelimit::{Clock, Rate, RateLimiter, Strict};
    ///
    /// let limiter = RateLimiter::builder(Strict::new(Rate::per_second(5000)?))
    ///     .clock(Clock::precise())
    ///     .build();
    /// # let _ = limiter;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    #[must_use]
    pub fn precise() -> Self {
        Self::of(Source::Monotonic { origin: Instant::now(), wakes: Wakes::Precise })
    }

    /// How long ago the clock began: how long it has run or, where it counts from an instant of its
    /// own, what it shows.
    #[inline(always)]
    #[must_use]
    pub fn now(&self) -> Nanos {
        Nanos::new(self.shown_by_source().get().saturating_add_signed(self.ahead))
    }

    fn of(source: Source) -> Self {
        Self { source, ahead: 0 }
    }

    #[inline(always)]
    fn shown_by_source(&self) -> Nanos {
        match &self.source {
            Source::Monotonic { origin, .. } => since(*origin),
            Source::Manual(clock) => clock.now(),
            Source::Custom(clock) => clock.now(),
        }
    }

    /// What its source shows when it shows `at`.
    fn at_source(&self, at: Nanos) -> Nanos {
        Nanos::new(at.get().saturating_sub_signed(self.ahead))
    }

    /// The same clock, set so that it shows `now` now; at most 292 years off its source.
    pub(crate) fn showing(self, now: Nanos) -> Self {
        let ahead = i128::from(now.get()) - i128::from(self.shown_by_source().get());
        let ahead = i64::try_from(ahead).unwrap_or(if ahead > 0 { i64::MAX } else { i64::MIN });
        Self { ahead, ..self }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::monotonic()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self::of(Source::Manual(clock))
    }
}

#[inline(always)]
fn since(origin: Instant) -> Nanos {
    // 584 years fit.
    Nanos::new(Instant::now().duration_since(origin).as_nanos() as u64)
}
