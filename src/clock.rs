//! The one door to the time.

use crate::nanos::Nanos;
use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// Where a limiter reads the time, and how its callers wait for it to pass.
///
/// Cloning is cheap, and clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Monotonic { origin: Instant },
    Manual(ManualClock),
}

impl Clock {
    /// The monotonic clock of the standard library, the default.
    ///
    /// It follows tokio's clock where that one is paused, so tests with
    /// `#[tokio::test(start_paused = true)]` see exact instants.
    #[must_use]
    pub fn monotonic() -> Self {
        Self(Source::Monotonic { origin: Instant::now() })
    }

    /// How long ago the clock began.
    #[inline(always)]
    #[must_use]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Source::Monotonic { origin } => {
                // 584 years fit.
                Nanos::new(Instant::now().duration_since(*origin).as_nanos() as u64)
            }
            Source::Manual(clock) => clock.now(),
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

/// A clock that only moves when it is told to, for tests.
///
/// Moving it wakes all callers that wait, and they look whether their time has come. It needs no
/// runtime. Clones
/// are the same clock.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::{ManualClock, Rate, RateLimiter, Strict};
///
/// let clock = ManualClock::new();
/// let limiter = RateLimiter::builder(Strict::new(Rate::per_second(1)?))
///     .clock(clock.clone())
///     .build();
/// assert!(limiter.try_acquire().is_ok());
/// clock.advance(Duration::from_nanos(999_999_999));
/// assert!(limiter.try_acquire().is_err());
/// clock.advance(Duration::from_nanos(1));
/// assert!(limiter.try_acquire().is_ok());
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Manual>);

#[derive(Default)]
struct Manual {
    now: AtomicU64,
    sleepers: Mutex<Vec<Waker>>,
}

impl ManualClock {
    /// A clock that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Nanos {
        Nanos::new(self.0.now.load(Ordering::SeqCst))
    }

    /// Moves it forward; at the end of the time line it stops.
    pub fn advance(&self, by: Duration) {
        self.set((self.now() + by.into()).into());
    }

    /// Makes it show `to`, counted from its zero, which may be earlier than now.
    pub fn set(&self, to: Duration) {
        self.0.now.store(Nanos::from(to).get(), Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.sleepers());
        for sleeper in sleepers {
            sleeper.wake();
        }
    }

    fn poll_until(&self, at: Nanos, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before the clock is read: a move between the two wakes.
        let mut sleepers = self.sleepers();
        if !sleepers.iter().any(|sleeper| sleeper.will_wake(cx.waker())) {
            sleepers.push(cx.waker().clone());
        }
        drop(sleepers);
        match self.now() >= at {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn sleepers(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// A timer that is made at the first wait and set again for each later one.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when the clock shows `at`, or a little earlier or later: the caller looks at the
    /// clock again.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer, unless the clock is a manual one.
    pub(crate) fn poll(&mut self, clock: &Clock, at: Nanos, cx: &mut Context<'_>) -> Poll<()> {
        match &clock.0 {
            Source::Manual(clock) => clock.poll_until(at, cx),
            Source::Monotonic { origin } => {
                let deadline = far_enough(*origin, at);
                let sleep =
                    self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                if sleep.deadline() != deadline || sleep.is_elapsed() {
                    sleep.as_mut().reset(deadline);
                }
                sleep.as_mut().poll(cx)
            }
        }
    }
}

/// `origin + at`, or thirty years from the origin where the platform's clock does not reach so far.
fn far_enough(origin: Instant, at: Nanos) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
    let at = Duration::from(at);
    origin.checked_add(at.min(THIRTY_YEARS)).unwrap_or(origin)
}
