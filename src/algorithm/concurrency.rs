//! A bound on the calls in flight.

use super::{Algorithm, Held, Refills, WAKE_UP, holders::Holders, lease};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// How long a permit keeps whose call has not begun, at most.
const SHELF_LIFE: Nanos = Nanos::new(1_000_000_000);

/// Bounds the number of calls in flight: at most `capacity` permits are in use at the same time.
///
/// A call holds its permits until it ends, however long that takes: bind the permit as long as the
/// call runs (`let _permit = limiter.acquire().await?`), as one that is dropped at once limits
/// nothing. The rate of calls is not limited. When the next permit comes back depends on the calls,
/// so a refusal has no `retry_after`, or a hint where there is a lease, and a maximum wait is a
/// time-out.
///
/// With a [`lease`](Self::lease) a holder that never ends its call loses its own permits, and only
/// those, when its lease ends. A holder that goes on renews its lease in time. One that comes too
/// late has its permits still when there is room for it; otherwise others have taken them over, and
/// it is told that it lost them. So no more than `capacity` permits are in use by holders whose
/// leases have not ended, whatever happens.
///
/// Permits [charged](Ask::Charge) are in use like all others, above the capacity if need be, and no
/// call is let go before as many have come back. They do so when their grant is ended or given
/// back, or their lease ends: without a lease, permits charged and never ended stay in use for
/// ever.
///
/// The state has 16 bytes for each holder. A decision looks at those whose leases have ended and,
/// when it refuses, at as many as have to end.
///
/// # Bound
///
/// None on the rate: in any window any number of calls may begin, one after another.
///
/// ```
/// use tower_ratelimit::{Concurrency, RateLimiter};
///
/// let limiter = RateLimiter::new(Concurrency::new(2)?);
/// let first = limiter.try_acquire().expect("one call runs");
/// let second = limiter.try_acquire().expect("two calls run");
/// let refused = limiter.try_acquire().expect_err("three would be too many");
/// assert_eq!(refused.retry_after(), None, "nobody knows how long they run");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(try_from = "super::written::calls::InFlight", into = "super::written::calls::InFlight")
)]
pub struct Concurrency {
    pub(super) capacity: u32,
    pub(super) lease: Option<Nanos>,
}

impl Concurrency {
    /// Creates a limit of this many permits in use, 1 and up, without a lease.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the capacity is zero.
    pub fn new(capacity: u32) -> Result<Self, Invalid> {
        match capacity {
            0 => Err(Invalid::new("capacity", capacity, "at least 1")),
            _ => Ok(Self { capacity, lease: None }),
        }
    }

    /// Sets a lease of this length: a holder loses its permits to others when it has neither ended
    /// nor renewed its lease for that long.
    ///
    /// Take it several times longer than the time between two renewals, so that a slow renewal
    /// loses nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the lease is zero or longer than 250 years.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_ratelimit::{Concurrency, RateLimiter};
    ///
    /// let limit = Concurrency::new(1)?.lease(Duration::from_secs(30))?;
    /// let limiter = RateLimiter::new(limit);
    /// let permit = limiter.try_acquire().expect("one call runs");
    /// let refused = limiter.try_acquire().expect_err("two would be too many");
    /// assert!(refused.retry_after() <= Some(Duration::from_secs(30)));
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn lease(self, lease: Duration) -> Result<Self, Invalid> {
        Ok(Self { lease: Some(lease::of_length(lease)?), ..self })
    }

    /// What a take of this cost would be answered.
    fn look(&self, holders: &Holders, now: Nanos, cost: u32) -> Decision {
        let in_use = holders.in_use(self.lease, now);
        let missing = (in_use + u64::from(cost)).saturating_sub(self.capacity.into());
        let outcome = match missing {
            _ if cost == 0 => Outcome::Granted(Grant { cost, at: now }),
            _ if cost > self.capacity => Outcome::Never,
            0 => Outcome::Granted(Grant { cost, at: holders.latest(now) }),
            _ => Outcome::InUse(holders.freed(missing, self.lease, now)),
        };
        let standing = self.standing(outcome, in_use, self.new_at(holders), now);
        match outcome {
            Outcome::Granted(grant) if cost > 0 => {
                let new_at = standing.full_after.max(self.end_of_lease(grant) - now);
                let remaining = standing.remaining - cost;
                Decision { remaining, full_after: new_at, ..standing }
            }
            _ => standing,
        }
    }

    fn take(&self, holders: &mut Holders, now: Nanos, cost: u32) -> Decision {
        let decision = self.look(holders, now, cost);
        if let (Outcome::Granted(_), 1..) = (decision.outcome, cost) {
            holders.forget(self.lease, now);
            holders.push(cost, now);
        }
        decision
    }

    /// The holder goes on, with the permits that it has still or gets once more.
    fn renew(&self, holders: &mut Holders, now: Nanos, grant: Grant) -> Decision {
        // Without a lease nothing begins anew: a renewal whose answer is lost leaves the grant by which
        // its holder ends it.
        let is_held = self.lease.is_none() && holders.has(grant);
        if grant.cost == 0 || is_held {
            return self.after(holders, now, grant);
        }
        if !holders.has_ended(grant, self.lease, now) && holders.remove(grant) {
            // Nobody else can have these permits, so it keeps them, also above the capacity.
            let grant = holders.push(grant.cost, now);
            return self.after(holders, now, grant);
        }
        // Its lease has ended. Its permits are anybody's, so it gets them if anybody would.
        self.take(holders, now, grant.cost)
    }

    fn after(&self, holders: &Holders, now: Nanos, grant: Grant) -> Decision {
        let in_use = holders.in_use(self.lease, now);
        self.standing(Outcome::Granted(grant), in_use, self.new_at(holders), now)
    }

    fn standing(&self, outcome: Outcome, in_use: u64, new_at: Nanos, now: Nanos) -> Decision {
        Decision {
            outcome,
            limit: self.capacity,
            // At most the capacity, which is a u32.
            remaining: u64::from(self.capacity).saturating_sub(in_use) as u32,
            full_after: new_at - now,
            rate: 0,
        }
    }

    fn end_of_lease(&self, grant: Grant) -> Nanos {
        self.lease.map_or(Nanos::MAX, |lease| grant.at + lease)
    }
}

impl Algorithm for Concurrency {
    type State = Holders;

    type Permits = Held;

    fn decide(&self, holders: &mut Holders, now: Nanos, ask: Ask) -> Decision {
        match ask {
            Ask::Take(take) => self.take(holders, now, take.cost),
            Ask::Peek(take) => self.look(holders, now, take.cost),
            Ask::Renew(grant) => self.renew(holders, now, grant),
            Ask::GiveBack(grant) | Ask::End(grant) => {
                // Gone already, it lost its lease: what others hold is theirs.
                holders.remove(grant);
                self.after(holders, now, grant)
            }
            Ask::Charge(0) => self.after(holders, now, Grant { cost: 0, at: now }),
            Ask::Charge(cost) => {
                holders.forget(self.lease, now);
                let grant = holders.push(cost, now);
                self.after(holders, now, grant)
            }
        }
    }

    /// The end of the last lease; never, without leases, while a permit is in use.
    fn new_at(&self, holders: &Holders) -> Nanos {
        holders.youngest().map_or(Nanos::ZERO, |grant| self.end_of_lease(grant))
    }

    /// [`WAKE_UP`]: how long a call takes is not known, so those in line look after each other as
    /// soon as they can.
    fn interval(&self) -> Nanos {
        WAKE_UP
    }

    /// One second, and no longer than the lease: until its call begins nothing is in flight, and
    /// others may need the permit.
    fn shelf_life(&self) -> Nanos {
        self.lease.map_or(SHELF_LIFE, |lease| lease.min(SHELF_LIFE))
    }

    fn rate(&self, _: usize) -> Option<Rate> {
        None
    }

    /// There is no bound on the rate.
    fn most_in(&self, length: Duration) -> u64 {
        match length.is_zero() {
            true => 0,
            false => u64::MAX,
        }
    }

    /// Calls in flight stay. With less capacity no call is let go before enough of them have ended;
    /// another lease applies to them as well, from when they were granted or, while there was one,
    /// renewed.
    fn carry_over(&self, _: &Self, _: &mut Holders, _: Nanos) {}
}

impl Refills for Concurrency {}
