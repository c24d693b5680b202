//! About n permits in any window, estimated from two counters.

use super::{Algorithm, Refills, Spent, WAKE_UP, end_of_time, stored::stored_fields};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// Grants about n permits in any window, estimated from two counters in constant memory.
///
/// Windows are as long as the period of the rate, and n is its permits. Two numbers are kept: how
/// many permits were taken in this window and in the one before, where windows follow each other
/// from the beginning of the clock. The sliding window that ends now is taken to hold all of this
/// one's and a part of the other's, as large as the part of that window it overlaps. A call passes
/// when that estimate, rounded up, leaves room for it.
///
/// The choice when a [`SlidingWindow`](crate::SlidingWindow) would have too long a log and an
/// estimate will do. Its state has 24 bytes whatever the rate. Permits count in the window in
/// which they were granted, and go back to it. Calls that come as often as they can are let go
/// `permits - 1` times a period: with one permit a period that is every other period, so take
/// [`Strict`](crate::Strict) for that.
///
/// # Error
///
/// The estimate is exact when the calls of the window before were spread evenly. When they were
/// not, with p of them and a fraction f of this window over, it is at most `p * f` below the true
/// number of the last period and at most `p * (1 - f)`, rounded up, above it. So no window as
/// long as the period ever holds twice the permits, and one less than that is reached.
///
/// # Bound
///
/// In any half-open window of length w ≥ 1 ns, with n ≥ 2 permits, k whole periods in w - 1 ns and
/// d ns left over: `n + k * (n - 1)` calls and, unless d is zero, `n - ceil(p * (period - d + 1) /
/// period)` more, where p is n when k is zero, else `n - 1`. With one permit,
/// `1 + floor(ceil((w - 1 ns) / period) / 2)`.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::{ManualClock, Rate, RateLimiter, SlidingWindowCounter};
///
/// let clock = ManualClock::new();
/// let limit = SlidingWindowCounter::new(Rate::per_minute(60)?);
/// let limiter = RateLimiter::builder(limit).clock(clock.clone()).build();
/// limiter.try_acquire_many(60).expect("sixty in the first minute");
/// // A quarter of the second minute is over, three quarters of the first count still.
/// clock.advance(Duration::from_secs(75));
/// limiter.try_acquire_many(15).expect("room for fifteen");
/// let refused = limiter.try_acquire().unwrap_err();
/// assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(from = "super::written::pace::Paced", into = "super::written::pace::Paced")
)]
pub struct SlidingWindowCounter {
    pub(super) rate: Rate,
    period: Nanos,
    /// Waits are whole multiples of this; so is the period.
    grain: Nanos,
}

/// The state of [`SlidingWindowCounter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Where the window begins that is counted now.
    start: Nanos,
    /// The permits taken in it, charges beyond those of the rate included.
    current: u64,
    /// The permits taken in the window before.
    previous: u64,
}

stored_fields!(WindowCounts { start, current, previous });

impl SlidingWindowCounter {
    /// Creates a limit of about the permits of this rate in any window as long as its period.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, period: rate.period().into(), grain: Nanos::new(1) }
    }

    /// The same for a clock that ticks in microseconds, of which the period is a multiple.
    pub(super) fn of_microseconds(rate: Rate) -> Self {
        Self { grain: Nanos::new(1000), ..Self::new(rate) }
    }

    fn permits(&self) -> u64 {
        self.rate.permits().into()
    }

    /// Where the window begins in which this instant is.
    fn start_of(&self, instant: Nanos) -> Nanos {
        Nanos::new(instant.get() - instant.get() % self.period.get().max(1))
    }

    /// The counters of the window in which `now` is; of the latest one, if the clock was set back.
    fn roll(&self, counts: &WindowCounts, now: Nanos) -> WindowCounts {
        let start = self.start_of(now);
        match start.get().checked_sub(counts.start.get()).map(|passed| passed / self.period.get()) {
            _ if counts.current == 0 && counts.previous == 0 => {
                WindowCounts { start, ..WindowCounts::default() }
            }
            None | Some(0) => *counts,
            Some(1) => WindowCounts { start, current: 0, previous: counts.current },
            Some(_) => WindowCounts { start, ..WindowCounts::default() },
        }
    }

    /// How many permits the sliding window that ends now holds, as far as one can tell.
    fn estimate(&self, counts: &WindowCounts, now: Nanos) -> u64 {
        let overlap = self.period - (now - counts.start);
        // At most the previous, as the overlap is at most the period.
        let part = ratio(counts.previous, overlap.get(), self.period.get(), u128::div_ceil) as u64;
        counts.current.saturating_add(part)
    }

    /// How far into the window after one with `previous` permits there is room for `room` of them
    /// and more: the period when that takes the whole window.
    fn faded(&self, previous: u64, room: u64) -> Nanos {
        let overlap = match previous {
            0 => u128::MAX,
            _ => ratio(room, self.period.get(), previous, |product, by| product / by),
        };
        let period = self.period.get();
        let overlap = u64::try_from(overlap).map_or(period, |overlap| overlap.min(period));
        // Not before there is room, so that it overlaps no more than that.
        Nanos::new(period - (overlap - overlap % self.grain.get().max(1)))
    }

    /// When a call of this cost, which is not above the permits, fits.
    fn fits_at(&self, counts: &WindowCounts, cost: u64) -> Option<Nanos> {
        let room = self.permits() - cost;
        if let Some(left) = room.checked_sub(counts.current) {
            let faded = self.faded(counts.previous, left);
            if faded < self.period {
                return counts.start.checked_add(faded);
            }
        }
        // Counted in this window, it fades in the next one.
        counts.start.checked_add(self.period)?.checked_add(self.faded(counts.current, room))
    }

    /// Why a call does not fit; `None` when it does.
    fn refuse(&self, counts: &WindowCounts, now: Nanos, cost: u32) -> Option<Outcome> {
        let cost = u64::from(cost);
        if cost == 0 {
            return None;
        }
        if cost > self.permits() {
            return Some(Outcome::Never);
        }
        let used = self.estimate(counts, now);
        if used.saturating_add(cost) <= self.permits() && self.fades(counts).is_some() {
            return None;
        }
        let later = self.fits_at(counts, cost).filter(|at| *at > now);
        // At the end of the time line nothing more can be remembered, so nothing is let go.
        Some(later.map_or(end_of_time(now), |at| Outcome::Later(at - now)))
    }

    /// When what is counted in this window does not count any more.
    fn fades(&self, counts: &WindowCounts) -> Option<Nanos> {
        counts.start.checked_add(self.period)?.checked_add(self.period)
    }

    fn take(&self, counts: &mut WindowCounts, now: Nanos, cost: u32) -> Decision {
        let mut rolled = self.roll(counts, now);
        let outcome = match self.refuse(&rolled, now, cost) {
            None if cost == 0 => Outcome::Granted(Grant { cost, at: now }),
            None => {
                rolled.current += u64::from(cost);
                *counts = rolled;
                Outcome::Granted(rolled.grant(cost, now))
            }
            Some(refused) => refused,
        };
        self.standing(outcome, &rolled, now)
    }

    fn standing(&self, outcome: Outcome, rolled: &WindowCounts, now: Nanos) -> Decision {
        Decision {
            outcome,
            limit: self.rate.permits(),
            // At most the permits, which are a u32.
            remaining: self.permits().saturating_sub(self.estimate(rolled, now)) as u32,
            full_after: self.new_at(rolled) - now,
            rate: 0,
        }
    }
}

impl WindowCounts {
    /// A grant as it is counted: a clock that was set back does not take it into a window that is
    /// over.
    fn grant(&self, cost: u32, now: Nanos) -> Grant {
        Grant { cost, at: now.max(self.start) }
    }
}

/// `of * part / whole`, rounded as the division rounds. The product of two words fits.
fn ratio(of: u64, part: u64, whole: u64, divide: fn(u128, u128) -> u128) -> u128 {
    divide(u128::from(of) * u128::from(part), u128::from(whole.max(1)))
}

impl Algorithm for SlidingWindowCounter {
    type State = WindowCounts;

    type Permits = Spent;

    fn decide(&self, counts: &mut WindowCounts, now: Nanos, ask: Ask) -> Decision {
        let grant = match ask {
            Ask::Take(take) => return self.take(counts, now, take.cost),
            Ask::Peek(take) => return self.take(&mut { *counts }, now, take.cost),
            Ask::Renew(grant) | Ask::End(grant) => grant,
            Ask::Charge(0) => Grant { cost: 0, at: now },
            Ask::Charge(cost) => {
                *counts = self.roll(counts, now);
                counts.current = counts.current.saturating_add(cost.into());
                counts.grant(cost, now)
            }
            Ask::GiveBack(grant) if grant.cost == 0 => grant,
            Ask::GiveBack(grant) => {
                *counts = self.roll(counts, now);
                let cost = u64::from(grant.cost);
                if grant.at >= counts.start {
                    counts.current = counts.current.saturating_sub(cost);
                } else if grant.at >= counts.start - self.period {
                    counts.previous = counts.previous.saturating_sub(cost);
                }
                grant
            }
        };
        self.standing(Outcome::Granted(grant), &self.roll(counts, now), now)
    }

    fn new_at(&self, counts: &WindowCounts) -> Nanos {
        match counts {
            WindowCounts { current: 0, previous: 0, .. } => Nanos::ZERO,
            WindowCounts { current: 0, start, .. } => *start + self.period,
            _ => self.fades(counts).unwrap_or(Nanos::MAX),
        }
    }

    fn interval(&self) -> Nanos {
        self.rate.interval().into()
    }

    /// Not longer than the window in which the permit counts.
    fn shelf_life(&self) -> Nanos {
        self.interval().max(WAKE_UP.min(self.period))
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    /// The permits of a window at its last instant, and in all that follow as many as can be.
    fn most_in(&self, length: Duration) -> u64 {
        let Some(rest) = Nanos::from(length).get().checked_sub(1) else {
            return 0;
        };
        let (permits, period) = (self.permits(), self.period.get());
        let (whole, part) = (rest / period, rest % period);
        // A full window leaves room for one less in the next; a single permit leaves none, and
        // then there is room again.
        let (in_whole, last) = match (permits, whole) {
            (1, _) => (whole / 2, (whole + 1) % 2),
            (_, 0) => (0, permits),
            _ => (whole.saturating_mul(permits - 1), permits - 1),
        };
        let in_part = match part {
            0 => 0,
            _ => permits - ratio(last, period - (part - 1), period, u128::div_ceil) as u64,
        };
        permits.saturating_add(in_whole).saturating_add(in_part)
    }

    /// The estimate stays; with another period all of it counts in the window of now.
    fn carry_over(&self, before: &Self, counts: &mut WindowCounts, now: Nanos) {
        if before.period != self.period {
            let rolled = before.roll(counts, now);
            let current = before.estimate(&rolled, now);
            *counts = WindowCounts { start: self.start_of(now), current, previous: 0 };
        }
    }
}

impl Refills for SlidingWindowCounter {}
