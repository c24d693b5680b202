//! A bucket that is refilled several permits at a time.

use super::{
    Algorithm, LONGEST_SPAN, Measure, Quota, Refills, Spent, WAKE_UP, end_of_time,
    grid::Grid,
    tokens::{Refill, Tokens},
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// Saves up to `capacity` permits, which arrive a period's worth at a time.
///
/// The permits of the rate arrive together, one period after another: a rate of `5/s` brings five
/// each second, `1/200ms` brings one each fifth of a second. Calls take from what is there and
/// never wait while there is enough; parts of a period are never lost, however often the bucket is
/// asked. A full bucket has no grid: the next call begins one, or, when the bucket is
/// [aligned](Self::aligned_to), the grid is fixed.
///
/// The choice for limits that are stated this way: a vendor's "100 at once, 10 more each second".
/// Where permits arrive one at a time, [`LeakyBucket`](crate::LeakyBucket) says the same in one
/// word.
///
/// The state is what is missing from the full bucket and the last tick of the grid, 32 bytes. A
/// permit that goes back brings back what has not arrived for it since it was granted. When that
/// leaves only calls that came after the last tick, they begin the grid anew: the tick they would
/// have waited for was not theirs.
///
/// # Bound
///
/// In any half-open window of length w ≥ 1 ns, with n permits arriving each period and k whole
/// periods in w - 1 ns: at most `capacity + k * n` calls, and `n - 1` more unless w - 1 ns is a
/// whole number of periods. When aligned, at most `capacity + n * ceil((w - 1 ns) / period)`.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::{ManualClock, Rate, RateLimiter, TokenBucket};
///
/// let clock = ManualClock::new();
/// let bucket = TokenBucket::new(Rate::per_second(2)?).capacity(3)?;
/// let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
/// limiter.try_acquire_many(3).expect("the bucket is full");
/// clock.advance(Duration::from_millis(999));
/// assert!(limiter.try_acquire().is_err());
/// clock.advance(Duration::from_millis(1));
/// limiter.try_acquire_many(2).expect("two arrive together");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(try_from = "super::written::buckets::Tokens", into = "super::written::buckets::Tokens")
)]
pub struct TokenBucket {
    pub(super) rate: Rate,
    pub(super) capacity: u32,
    /// Below the capacity, if it was set.
    pub(super) initial: Option<u32>,
    pub(super) refill: Refill,
}

impl TokenBucket {
    /// Creates a bucket that holds the permits of one period, full at first, and gets them again
    /// each period.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let grid = Grid::floating(rate.period().into());
        let refill = Refill { amount: rate.permits().into(), grid };
        Self { rate, capacity: rate.permits(), initial: None, refill }
    }

    /// Creates a bucket that is never refilled: this many permits, 1 and up, and no more.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there are no permits.
    pub fn quota(permits: u32) -> Result<Quota, Invalid> {
        Quota::new(permits)
    }

    /// Sets the capacity: how many permits can be had at once, at least those that arrive at a
    /// time.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when fewer fit than arrive at a time or are there at first, or when the bucket
    /// would take more than 250 years to fill.
    pub fn capacity(self, capacity: u32) -> Result<Self, Invalid> {
        let permits = self.rate.permits();
        if capacity < permits {
            let allowed =
                format_args!("{permits} or more, as many as arrive at a time").to_string();
            return Err(Invalid::new("capacity", capacity, allowed));
        }
        if let Some(initial) = self.initial.filter(|initial| *initial > capacity) {
            let allowed = format_args!("{initial} or more, the initial permits").to_string();
            return Err(Invalid::new("capacity", capacity, allowed));
        }
        let periods = capacity.div_ceil(permits);
        let span = self.refill.grid.every.checked_mul(periods);
        if span.is_none_or(|span| span > LONGEST_SPAN) {
            let most = (LONGEST_SPAN / self.refill.grid.every).saturating_mul(permits.into());
            return Err(Invalid::new("capacity", capacity, format_args!("{permits} to {most}")));
        }
        Ok(Self { capacity, ..self })
    }

    /// Sets how many permits are there at first, from none to a full bucket, the default.
    ///
    /// The first call finds them and begins the time in which others arrive, even a call that is
    /// refused. With fewer than the capacity, a key that was asked about is never forgotten: it
    /// would find less than it had.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there are more than the capacity.
    pub fn initial(self, permits: u32) -> Result<Self, Invalid> {
        if permits > self.capacity {
            let allowed = format_args!("0 to {}, the capacity", self.capacity).to_string();
            return Err(Invalid::new("initial", permits, allowed));
        }
        Ok(Self { initial: Some(permits), ..self })
    }

    /// Aligns the arrival of permits to fixed instants: to this one, counted from where the
    /// limiter's [`Clock`](crate::Clock) began, and whole periods before and after it. For the hours
    /// and days of the calendar take [`Clock::wall`](crate::Clock::wall), which counts from
    /// 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn aligned_to(self, instant: Duration) -> Self {
        let grid = self.refill.grid.fixed(instant);
        Self { refill: Refill { grid, ..self.refill }, ..self }
    }

    /// How many permits are missing from a bucket nobody has asked.
    pub(super) fn missing_at_first(&self) -> u64 {
        u64::from(self.capacity - self.initial.unwrap_or(self.capacity))
    }

    /// The state with what has arrived until now.
    fn current(&self, tokens: &Tokens, now: Nanos) -> Tokens {
        match tokens.begun {
            true => tokens.refilled(&self.refill, now),
            false => Tokens::new(self.missing_at_first(), &self.refill, now),
        }
    }

    /// Why this many permits cannot be had of a bucket that stands like this; `None` when they can.
    fn refuse(&self, tokens: &Tokens, now: Nanos, cost: u32) -> Option<Outcome> {
        let capacity = u64::from(self.capacity);
        if cost > self.capacity {
            return Some(Outcome::Never);
        }
        if cost == 0 {
            return None;
        }
        let missing = tokens.missing.saturating_add(cost.into());
        let refused = match missing.saturating_sub(capacity) {
            0 if tokens.full_at(&self.refill, missing).is_some() => return None,
            0 => None,
            lacking => tokens.full_at(&self.refill, lacking),
        };
        // At the end of the time line nothing more can be remembered, so nothing is let go.
        Some(refused.map_or(end_of_time(now), |at| Outcome::Later(at - now)))
    }

    fn take(&self, tokens: &mut Tokens, now: Nanos, cost: u32) -> Decision {
        let mut current = self.current(tokens, now);
        let outcome = match self.refuse(&current, now, cost) {
            None => {
                if cost > 0 {
                    current.take(cost, now);
                    *tokens = current;
                }
                Outcome::Granted(Grant { cost, at: now })
            }
            Some(refused) => {
                // The wait counts from the first call: it has to be remembered.
                if !tokens.begun && matches!(refused, Outcome::Later(_)) {
                    *tokens = current;
                }
                refused
            }
        };
        self.standing(outcome, &current, now)
    }

    fn standing(&self, outcome: Outcome, current: &Tokens, now: Nanos) -> Decision {
        let full_at = current.full_at(&self.refill, current.missing);
        Decision {
            outcome,
            limit: self.capacity,
            // At most the capacity, which is a u32.
            remaining: u64::from(self.capacity).saturating_sub(current.missing) as u32,
            full_after: full_at.unwrap_or(Nanos::MAX) - now,
            rate: 0,
        }
    }
}

impl Algorithm for TokenBucket {
    type State = Tokens;

    type Permits = Spent;

    fn decide(&self, tokens: &mut Tokens, now: Nanos, ask: Ask) -> Decision {
        let grant = match ask {
            Ask::Take(take) => return self.take(tokens, now, take.cost),
            Ask::Peek(take) => return self.take(&mut { *tokens }, now, take.cost),
            Ask::Renew(grant) | Ask::End(grant) => grant,
            Ask::Charge(cost) => {
                if cost > 0 {
                    *tokens = self.current(tokens, now);
                    tokens.take(cost, now);
                }
                Grant { cost, at: now }
            }
            Ask::GiveBack(grant) => {
                if tokens.begun && grant.cost > 0 {
                    *tokens = self.current(tokens, now);
                    tokens.give_back(&self.refill, grant, now);
                }
                grant
            }
        };
        self.standing(Outcome::Granted(grant), &self.current(tokens, now), now)
    }

    /// When the bucket is full; [`Nanos::MAX`], which is never, when it was not full at first.
    fn new_at(&self, tokens: &Tokens) -> Nanos {
        match tokens.begun {
            false => Nanos::ZERO,
            true if self.missing_at_first() > 0 => Nanos::MAX,
            true if tokens.missing == 0 => Nanos::ZERO,
            true => tokens.full_at(&self.refill, tokens.missing).unwrap_or(Nanos::MAX),
        }
    }

    fn interval(&self) -> Nanos {
        self.rate.interval().into()
    }

    fn shelf_life(&self) -> Nanos {
        self.interval().max(WAKE_UP)
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    fn most_in(&self, length: Duration) -> u64 {
        match Nanos::from(length).get().checked_sub(1) {
            None => 0,
            Some(rest) => self.refill.most_in(rest).saturating_add(self.capacity.into()),
        }
    }

    /// What is missing stays missing, so a smaller bucket may be in debt.
    fn carry_over(&self, before: &Self, tokens: &mut Tokens, now: Nanos) {
        if tokens.begun {
            *tokens = before.current(tokens, now);
            tokens.carry_over(&before.refill, &self.refill, now);
        }
    }

    fn carry_over_unattended(&self, before: &Self, tokens: &mut Tokens, now: Nanos) {
        self.carry_over(before, tokens, now);
        if before != self {
            tokens.cut(self.capacity);
        }
    }

    fn measure(&self) -> Measure {
        Measure { interval: self.interval(), capacity: self.capacity }
    }

    /// What has arrived is counted by this limit, as how it arrived before is not known.
    fn adopt(&self, _: Measure, tokens: &mut Tokens, now: Nanos) {
        if tokens.begun {
            *tokens = self.current(tokens, now);
            tokens.cut(self.capacity);
        }
    }
}

impl Refills for TokenBucket {}
