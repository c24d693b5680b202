//! At least one interval between two calls.

use super::{
    Algorithm, LONGEST_SPAN, Measure, Refills, Spent, bucket::Bucket, end_of_time, left_of,
    rescale, slots_in,
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// Paces calls strictly: at least one interval between two calls, no burst, and no catching up.
///
/// The interval (the period of the rate divided by its permits) counts from the moment a call is
/// actually let go, so whatever delays a call delays all that follow, and the achieved rate is at
/// most the rate set. tokio's timer ticks in milliseconds and never early: a caller that waits
/// loses up to one millisecond a call, which is 10 % at 100 calls a second and half at 1,000; of
/// 5,000 a second about 800 are left. [`Clock::precise`](crate::Clock::precise) wakes callers
/// within microseconds, which is for such rates. For the full rate take
/// [`BurstCompensating`](crate::BurstCompensating).
///
/// A call of cost n is let go like any other and the next one waits n intervals.
///
/// Its state is one word, the next free slot.
///
/// # Bound
///
/// In any half-open window of length w, at most `ceil(w / interval)` calls.
///
/// ```
/// use tower_ratelimit::{Rate, RateLimiter, Strict};
///
/// let limiter = RateLimiter::new(Strict::new(Rate::per_minute(600)?));
/// limiter.try_acquire().expect("the first call passes at once");
/// let refused = limiter.try_acquire().expect_err("the next one 100 ms later");
/// assert!(refused.retry_after() <= Some(std::time::Duration::from_millis(100)));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(from = "super::written::pace::Paced", into = "super::written::pace::Paced")
)]
pub struct Strict {
    pub(super) rate: Rate,
    pub(super) interval: Nanos,
}

impl Strict {
    /// Creates a limit with calls at least one interval of this rate apart.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, interval: rate.interval().into() }
    }

    /// One that holds one permit: with one in it, it is empty when the next slot begins.
    pub(super) fn bucket(&self) -> Bucket {
        Bucket { interval: self.interval, depth: self.interval }
    }

    /// How long the slot of a call of this cost is, if it can be had at all.
    fn slot(&self, cost: u32) -> Option<Nanos> {
        self.interval.checked_mul(cost).filter(|slot| *slot <= LONGEST_SPAN)
    }

    /// When the slot of a call ends that is let go now, or why it is not.
    fn pace(&self, next: Nanos, now: Nanos, cost: u32) -> Result<Nanos, Outcome> {
        let slot = self.slot(cost).ok_or(Outcome::Never)?;
        if cost > 0 && next > now {
            return Err(Outcome::Later(next - now));
        }
        // At the end of the time line nothing more can be remembered, so nothing is let go.
        now.checked_add(slot).ok_or(end_of_time(now))
    }

    fn take(&self, next: &mut Nanos, now: Nanos, cost: u32) -> Decision {
        match self.pace(*next, now, cost) {
            Ok(end) => {
                if cost > 0 {
                    *next = end;
                }
                self.standing(Outcome::Granted(Grant { cost, at: now }), *next, now)
            }
            Err(outcome) => self.standing(outcome, *next, now),
        }
    }

    fn standing(&self, outcome: Outcome, next: Nanos, now: Nanos) -> Decision {
        Decision {
            outcome,
            limit: 1,
            remaining: u32::from(next <= now),
            full_after: next - now,
            rate: 0,
        }
    }
}

impl Algorithm for Strict {
    /// The next free slot.
    type State = Nanos;

    type Permits = Spent;

    fn decide(&self, next: &mut Nanos, now: Nanos, ask: Ask) -> Decision {
        match ask {
            Ask::Take(take) => self.take(next, now, take.cost),
            Ask::Peek(take) => self.take(&mut { *next }, now, take.cost),
            Ask::Renew(grant) => {
                // The gap counts from the call itself, and a debt made meanwhile from the gap.
                let renewed = Grant { at: grant.at.max(now), ..grant };
                if grant.cost > 0 {
                    let moved = *next + (renewed.at - grant.at);
                    *next = moved.max(renewed.at + self.interval * grant.cost);
                }
                self.standing(Outcome::Granted(renewed), *next, now)
            }
            Ask::Charge(cost) => {
                if cost > 0 {
                    *next = (*next).max(now) + self.interval * cost;
                }
                self.standing(Outcome::Granted(Grant { cost, at: now }), *next, now)
            }
            Ask::End(grant) => self.standing(Outcome::Granted(grant), *next, now),
            Ask::GiveBack(grant) => {
                *next = *next - left_of(grant, self.interval, now);
                self.standing(Outcome::Granted(grant), *next, now)
            }
        }
    }

    fn new_at(&self, next: &Nanos) -> Nanos {
        *next
    }

    fn interval(&self) -> Nanos {
        self.interval
    }

    /// One interval: after that the next call may be let go, and two might come too close.
    fn shelf_life(&self) -> Nanos {
        self.interval
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    fn most_in(&self, length: Duration) -> u64 {
        slots_in(length, self.interval)
    }

    fn carry_over(&self, before: &Self, next: &mut Nanos, now: Nanos) {
        self.adopt(before.measure(), next, now);
    }

    /// Nothing is cut: a call may take any number of intervals.
    fn adopt(&self, before: Measure, next: &mut Nanos, now: Nanos) {
        *next = rescale(*next, before.interval, self.interval, now);
    }
}

impl Refills for Strict {}
