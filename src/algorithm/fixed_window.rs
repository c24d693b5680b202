//! A number of permits in each window.

use super::{Algorithm, Measure, Refills, Spent, TokenBucket, WAKE_UP, tokens::Tokens};
use crate::{
    decision::{Ask, Decision},
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// Grants the permits of the rate in each window as long as its period; unused ones are lost.
///
/// A window begins with the first call after the one before has ended or, when
/// [aligned](Self::aligned_to), at fixed instants: every full hour, say, of the
/// [wall clock](crate::Clock::wall). The cheap one: its state has 32 bytes whatever the rate, and
/// its numbers are those that many vendors document.
///
/// Calls at the end of one window and at the beginning of the next are twice the rate within an
/// instant. When that is too much, take [`SlidingWindow`](crate::SlidingWindow) or
/// [`LeakyBucket::any_window`](crate::LeakyBucket::any_window).
///
/// A permit that goes back in its window can be had again in it. Permits charged beyond those of
/// the window are taken from the windows that follow.
///
/// It is a [`TokenBucket`] that holds what arrives at a time and no more.
///
/// # Bound
///
/// In any half-open window of length w ≥ 1 ns, with k whole periods in w - 1 ns: at most
/// `permits * (k + 1)` calls, and `permits - 1` more unless w - 1 ns is a whole number of periods.
/// When aligned, at most `permits * (ceil((w - 1 ns) / period) + 1)`.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::{FixedWindow, ManualClock, Rate, RateLimiter};
///
/// let clock = ManualClock::new();
/// let window = FixedWindow::new(Rate::per_minute(2)?).aligned_to(Duration::ZERO);
/// let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
/// clock.advance(Duration::from_secs(59));
/// limiter.try_acquire_many(2).expect("two in the first minute");
/// let refused = limiter.try_acquire().unwrap_err();
/// assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
/// clock.advance(Duration::from_secs(1));
/// limiter.try_acquire_many(2).expect("two in the second minute");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(
        try_from = "super::written::windows::Aligned",
        into = "super::written::windows::Aligned"
    )
)]
pub struct FixedWindow {
    pub(super) bucket: TokenBucket,
    pub(super) period: Nanos,
}

impl FixedWindow {
    /// Creates a limit with windows of this rate, each of which begins with its first call.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { bucket: TokenBucket::new(rate), period: rate.period().into() }
    }

    /// Aligns the windows to fixed instants: to this one, counted from where the limiter's
    /// [`Clock`](crate::Clock) began, and whole periods before and after it. For the hours
    /// and days of the calendar take [`Clock::wall`](crate::Clock::wall), which counts from
    /// 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn aligned_to(self, instant: Duration) -> Self {
        Self { bucket: self.bucket.aligned_to(instant), ..self }
    }
}

impl Algorithm for FixedWindow {
    type State = Tokens;

    type Permits = Spent;

    fn decide(&self, tokens: &mut Tokens, now: Nanos, ask: Ask) -> Decision {
        self.bucket.decide(tokens, now, ask)
    }

    fn new_at(&self, tokens: &Tokens) -> Nanos {
        self.bucket.new_at(tokens)
    }

    fn interval(&self) -> Nanos {
        self.bucket.interval()
    }

    /// Not longer than the window.
    fn shelf_life(&self) -> Nanos {
        self.interval().max(WAKE_UP.min(self.period))
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.bucket.rate(index)
    }

    fn most_in(&self, length: Duration) -> u64 {
        self.bucket.most_in(length)
    }

    fn carry_over(&self, before: &Self, tokens: &mut Tokens, now: Nanos) {
        self.bucket.carry_over(&before.bucket, tokens, now);
    }

    fn carry_over_unattended(&self, before: &Self, tokens: &mut Tokens, now: Nanos) {
        self.bucket.carry_over_unattended(&before.bucket, tokens, now);
    }

    fn measure(&self) -> Measure {
        self.bucket.measure()
    }

    fn adopt(&self, before: Measure, tokens: &mut Tokens, now: Nanos) {
        self.bucket.adopt(before, tokens, now);
    }
}

impl Refills for FixedWindow {}
