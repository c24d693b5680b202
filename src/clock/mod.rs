//! The one door to the time.

mod manual;
mod custom;
mod shifted;
#[cfg(feature = "quanta")]
mod quanta;
#[cfg(not(feature = "quanta"))]
#[path = "no_quanta.rs"]
mod quanta;
#[cfg(feature = "coarse-clock")]
mod coarse;
#[cfg(not(feature = "coarse-clock"))]
#[path = "no_coarse.rs"]
mod coarse;
mod alarm;
mod before;
mod precise;
mod sleeper;
mod wall;
#[cfg(feature = "conformance")]
mod passing;
#[cfg(all(test, loom))]
mod models;

pub use manual::ManualClock;

pub(crate) use alarm::Alarm;
pub(crate) use before::{before, before_since};
pub(crate) use sleeper::Sleeper;
pub(crate) use wall::{WallTime, after_1970, passed, since_1970, wall_time};

use self::{coarse::Coarse, custom::Custom, quanta::Counter, shifted::Shifted};
use crate::nanos::Nanos;
use std::time::Duration;
use tokio::time::Instant;

/// The clock of a limiter: where it reads the time, and how its callers wait for it to pass.
///
/// Cloning is cheap, and clones tell the same time. That of a limiter which was
/// [restored](crate::Builder::restore) goes on from where the earlier limiter's stood.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

// With a tag of its own, not one within that of a clock, which takes longer to tell.
#[derive(Clone, Debug)]
#[repr(u8)]
enum Source {
    Quanta(Counter),
    Monotonic { origin: Instant, wakes: Wakes },
    Coarse(Coarse),
    Manual(ManualClock),
    Custom(Custom),
    Shifted(Shifted),
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
    /// Returns the monotonic clock of the standard library, the default.
    ///
    /// It follows tokio's clock where that one is paused, so tests with
    /// `#[tokio::test(start_paused = true)]` see exact instants.
    #[must_use]
    pub fn monotonic() -> Self {
        Self::of(Source::Monotonic { origin: Instant::now(), wakes: Wakes::Ticking })
    }

    /// Returns the monotonic clock with callers woken within microseconds of their instants, not at
    /// the next millisecond, which is when tokio's timer ticks.
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

    /// Returns how long ago the clock began: how long it has run or, where it counts from an
    /// instant of its own, what it shows.
    #[inline(always)]
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.source.now()
    }

    fn of(source: Source) -> Self {
        Self { source }
    }
}

impl Source {
    #[inline(always)]
    fn now(&self) -> Nanos {
        match self {
            Source::Quanta(clock) => clock.now(),
            Source::Monotonic { origin, .. } => since(*origin),
            Source::Coarse(clock) => clock.now(),
            // Behind a call, so that the others are found by comparisons and not by a table.
            _ => self.told(),
        }
    }

    #[inline(never)]
    fn told(&self) -> Nanos {
        match self {
            Source::Manual(clock) => clock.now(),
            Source::Custom(clock) => clock.now(),
            Source::Shifted(clock) => clock.now(),
            _ => self.now(),
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
        Self::of(Source::Manual(clock))
    }
}

impl From<Counter> for Source {
    fn from(clock: Counter) -> Self {
        Source::Quanta(clock)
    }
}

impl From<Coarse> for Source {
    fn from(clock: Coarse) -> Self {
        Source::Coarse(clock)
    }
}

#[inline(always)]
fn since(origin: Instant) -> Nanos {
    // 584 years fit.
    Nanos::new(Instant::now().duration_since(origin).as_nanos() as u64)
}

/// How long it takes from now to `at`, if that has not come.
fn left(now: Nanos, at: Nanos) -> Option<Duration> {
    (now < at).then(|| Duration::from(at - now))
}
