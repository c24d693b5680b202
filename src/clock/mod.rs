//! The one door to the time.

mod manual;
mod custom;
mod alarm;
mod precise;
mod sleeper;

pub use manual::ManualClock;

pub(crate) use alarm::Alarm;
pub(crate) use sleeper::Sleeper;

use crate::nanos::Nanos;
use custom::Custom;
use tokio::time::Instant;

/// Where a limiter reads the time, and how its callers wait for it to pass.
///
/// Cloning is cheap, and clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

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
        Self(Source::Monotonic { origin: Instant::now(), wakes: Wakes::Ticking })
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
        Self(Source::Monotonic { origin: Instant::now(), wakes: Wakes::Precise })
    }

    /// How long ago the clock began: how long it has run or, where it counts from an instant of its
    /// own, what it shows.
    #[inline(always)]
    #[must_use]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Source::Monotonic { origin, .. } => since(*origin),
            Source::Manual(clock) => clock.now(),
            Source::Custom(clock) => clock.now(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::monotonic()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}

#[inline(always)]
fn since(origin: Instant) -> Nanos {
    // 584 years fit.
    Nanos::new(Instant::now().duration_since(origin).as_nanos() as u64)
}
