//! A number of permits, and no more.

use super::{Algorithm, Spent};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// One second. No time brings permits back; this is only how long an unused one is kept.
const SECOND: Nanos = Nanos::new(1_000_000_000);

/// A number of permits that are never refilled: once spent they stay spent.
///
/// A [`TokenBucket`](crate::TokenBucket) without a refill. Its refusals say
/// [`Exhausted`](Outcome::Exhausted), not when to try again, and calls do not wait.
/// Permits that go back can be had again. It has no rate, and a key that was used is never
/// forgotten. For the same reason it is not [`Refills`](crate::algorithm::Refills).
///
/// # Bound
///
/// In any window, at most the permits.
///
/// ```
/// use tower_ratelimit::{RateLimiter, Reason, TokenBucket};
///
/// let limiter = RateLimiter::new(TokenBucket::quota(2)?);
/// limiter.try_acquire_many(2).expect("two in all");
/// let refused = limiter.try_acquire().unwrap_err();
/// assert_eq!(refused.reason(), Reason::Exhausted);
/// assert_eq!(refused.retry_after(), None);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(
        try_from = "super::written::buckets::Permits",
        into = "super::written::buckets::Permits"
    )
)]
pub struct Quota {
    pub(super) permits: u32,
}

impl Quota {
    /// Creates a quota of this many permits, 1 and up.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there are none.
    pub fn new(permits: u32) -> Result<Self, Invalid> {
        match permits {
            0 => Err(Invalid::new("permits", permits, "at least 1")),
            _ => Ok(Self { permits }),
        }
    }

    /// At most the permits, which are a u32; none while there is a debt.
    fn remaining(&self, used: u64) -> u32 {
        u64::from(self.permits).saturating_sub(used) as u32
    }

    fn take(&self, used: &mut u64, now: Nanos, cost: u32) -> Decision {
        let outcome = match cost {
            _ if cost > self.permits => Outcome::Never,
            1.. if cost > self.remaining(*used) => Outcome::Exhausted,
            _ => {
                *used += u64::from(cost);
                Outcome::Granted(Grant { cost, at: now })
            }
        };
        self.standing(outcome, *used, now)
    }

    fn standing(&self, outcome: Outcome, used: u64, now: Nanos) -> Decision {
        Decision {
            outcome,
            limit: self.permits,
            remaining: self.remaining(used),
            full_after: self.new_at(&used) - now,
            rate: 0,
        }
    }
}

impl Algorithm for Quota {
    /// How many permits are spent, debts included.
    type State = u64;

    type Permits = Spent;

    fn decide(&self, used: &mut u64, now: Nanos, ask: Ask) -> Decision {
        let grant = match ask {
            Ask::Take(take) => return self.take(used, now, take.cost),
            Ask::Peek(take) => return self.take(&mut { *used }, now, take.cost),
            Ask::Renew(grant) | Ask::End(grant) => grant,
            Ask::Charge(cost) => {
                *used = used.saturating_add(cost.into());
                Grant { cost, at: now }
            }
            Ask::GiveBack(grant) => {
                *used = used.saturating_sub(grant.cost.into());
                grant
            }
        };
        self.standing(Outcome::Granted(grant), *used, now)
    }

    /// Never, which is [`Nanos::MAX`], once any is spent.
    fn new_at(&self, used: &u64) -> Nanos {
        if *used == 0 { Nanos::ZERO } else { Nanos::MAX }
    }

    fn interval(&self) -> Nanos {
        SECOND
    }

    fn shelf_life(&self) -> Nanos {
        SECOND
    }

    fn rate(&self, _: usize) -> Option<Rate> {
        None
    }

    fn most_in(&self, length: Duration) -> u64 {
        if length.is_zero() { 0 } else { self.permits.into() }
    }

    /// What is spent stays spent.
    fn carry_over(&self, _: &Self, _: &mut u64, _: Nanos) {}
}
