//! A clock for tests.

use crate::{
    nanos::Nanos,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
};
use std::{
    fmt,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A clock that only moves when it is told to, for tests.
///
/// Moving it wakes all callers that wait, and they look whether their time has come. It needs no
/// runtime. Clones are the same clock.
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
    /// Creates a clock that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what it shows.
    #[must_use]
    pub fn now(&self) -> Nanos {
        Nanos::new(self.0.now.load(Ordering::SeqCst))
    }

    /// Moves it forward; at the end of the time line it stops.
    pub fn advance(&self, by: Duration) {
        let on = |now| Some((Nanos::new(now) + by.into()).get());
        // Whoever else moves it on at the same time does so, too.
        let _ = self.0.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, on);
        self.wake();
    }

    /// Makes it show `to`, counted from its zero, which may be earlier than now.
    pub fn set(&self, to: Duration) {
        self.0.now.store(Nanos::from(to).get(), Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let sleepers = std::mem::take(&mut *self.sleepers());
        for sleeper in sleepers {
            sleeper.wake();
        }
    }

    /// Ready when it shows `at`; wakes at every move until then.
    pub(super) fn poll_until(&self, at: Nanos, cx: &mut Context<'_>) -> Poll<()> {
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

    fn sleepers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}
