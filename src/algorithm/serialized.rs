//! One call at a time, and a number of completions in a window.

use super::{
    Algorithm, Held, Refills, WAKE_UP, lease, serial_log::SerialLog, slots_in, window_log::Window,
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// Runs one call at a time, and bounds the completions in any window to the permits of the rate.
///
/// A call begins when the one before it has ended and fewer than `permits` calls have ended in the
/// last period; one that ended exactly a period ago does not count. So the pause comes after the
/// call, however long it took: for a service that counts answers, not requests. A call
/// that fails or is cancelled has ended like any other, and neither holds up those behind it nor
/// lets them pass earlier.
///
/// The permit is held while the call runs: bind it (`let _permit = limiter.acquire().await?`), as
/// one that is dropped at once ends the call.
///
/// While a call runs its end is unknown, so a refusal has no `retry_after`, or a hint where there is
/// a lease; between two calls it is exact. A permit given back is of a call that never took place.
/// One that has ended does not come back, nor do permits that were [charged](Ask::Charge), which
/// count as completions of their own. A call of cost n counts as n completions.
///
/// With a [`lease`](Self::lease) a call that was not ended in time has ended when its lease does, and
/// counts as a completion of that instant: its process is gone, and those behind it need not wait
/// for ever. A call that goes on renews its lease in time. One that comes too late goes on as if it
/// had, unless another one has begun or permits were charged since: then it is told so.
///
/// Its state has an entry of 16 bytes for each completion in the period, at most as many as the
/// rate has permits, and a decision takes time logarithmic in their number.
///
/// # Bound
///
/// In any half-open window of length w, at most `permits * ceil(w / period)` calls begin, and as
/// many end, those whose leases have ended at that instant.
///
/// ```
/// use tower_ratelimit::{Rate, RateLimiter, Serialized};
///
/// let limiter = RateLimiter::new(Serialized::new(Rate::per_minute(60)?));
/// let permit = limiter.try_acquire().expect("nothing runs");
/// let refused = limiter.try_acquire().expect_err("one call runs");
/// assert_eq!(refused.retry_after(), None, "nobody knows how long");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(try_from = "super::written::calls::InTurn", into = "super::written::calls::InTurn")
)]
pub struct Serialized {
    pub(super) rate: Rate,
    pub(super) lease: Option<Nanos>,
}

impl Serialized {
    /// Creates a limit of one call at a time, and at most the permits of this rate in completions
    /// in any window as long as its period, without a lease.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, lease: None }
    }

    /// Sets the lease: a call that was neither ended nor renewed for so long has ended.
    ///
    /// Take it several times longer than the time between two renewals, or than a call that renews
    /// nothing can take, so that a slow one loses nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the lease is zero or longer than 250 years.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_ratelimit::{Rate, RateLimiter, Serialized};
    ///
    /// let limit = Serialized::new(Rate::per_second(1)?).lease(Duration::from_secs(30))?;
    /// let limiter = RateLimiter::new(limit);
    /// let permit = limiter.try_acquire().expect("nothing runs");
    /// let refused = limiter.try_acquire().expect_err("one call runs");
    /// assert!(refused.retry_after() <= Some(Duration::from_secs(31)), "a second after its lease");
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn lease(self, lease: Duration) -> Result<Self, Invalid> {
        Ok(Self { lease: Some(lease::of_length(lease)?), ..self })
    }

    fn period(&self) -> Nanos {
        self.rate.period().into()
    }

    /// The completion that a call which nobody ends comes to, if its lease ever ends.
    fn completion(&self, log: &SerialLog, running: Grant) -> Option<Grant> {
        // A lease that would end beyond the time line does not end.
        let end = running.at.checked_add(self.lease?)?;
        Some(Grant { cost: running.cost, at: log.completions.latest(end) })
    }

    /// The completion that those behind the call that runs wait for; `None` when only its end helps.
    fn ending(&self, log: &SerialLog) -> Option<Grant> {
        match log.running {
            Some(running) => self.completion(log, running),
            None => Some(Grant { cost: 0, at: Nanos::ZERO }),
        }
    }

    /// How many permits of this window are in use, with those of a call that nobody ends.
    fn used(&self, window: &Window, ending: Grant, now: Nanos) -> u64 {
        match now - ending.at < self.period() {
            true => window.used + u64::from(ending.cost),
            false => window.used,
        }
    }

    /// Whether a take of this cost, one permit or more, would be granted.
    fn outcome(&self, log: &SerialLog, now: Nanos, cost: u32) -> Outcome {
        let Some(ending) = self.ending(log) else { return Outcome::InUse(None) };
        let window = log.completions.window(self.period(), now);
        let used = self.used(&window, ending, now) + u64::from(cost);
        let missing = used.saturating_sub(self.rate.permits().into());
        let free_at = match missing {
            0 => ending.at,
            _ if missing > window.used => ending.at + self.period(),
            _ => ending.at.max(now + log.completions.freed(&window, missing, now)),
        };
        match missing {
            _ if ending.at > now => Outcome::InUse(Some(free_at - now)),
            0 => Outcome::Granted(Grant { cost, at: log.completions.latest(now) }),
            // At the end of the time line nothing is let go.
            _ => Outcome::Later((free_at - now).max(Nanos::new(1))),
        }
    }

    /// What a take of this cost would be answered.
    fn look(&self, log: &SerialLog, now: Nanos, cost: u32) -> Decision {
        let outcome = match cost {
            0 => Outcome::Granted(Grant { cost, at: now }),
            _ if cost > self.rate.permits() => Outcome::Never,
            _ => self.outcome(log, now, cost),
        };
        let standing = self.standing(outcome, log, now);
        match outcome {
            Outcome::Granted(grant) if cost > 0 => {
                let full_after = self.new_after(self.completion(log, grant)) - now;
                Decision { remaining: 0, full_after, ..standing }
            }
            _ => standing,
        }
    }

    fn take(&self, log: &mut SerialLog, now: Nanos, cost: u32) -> Decision {
        let decision = self.look(log, now, cost);
        if let (Outcome::Granted(grant), 1..) = (decision.outcome, cost) {
            self.complete_lost(log, now);
            log.running = Some(grant);
        }
        decision
    }

    /// Writes down permits that count from `at` on, or from the last completion when the clock
    /// was set back.
    fn complete(&self, log: &mut SerialLog, cost: u32, at: Nanos) -> Grant {
        let grant = Grant { cost, at: log.completions.latest(at) };
        log.completions.forget(self.period(), at);
        log.completions.push(grant);
        log.completions.forget_beyond(self.rate.permits());
        grant
    }

    /// The completion that the call comes to which nobody ended while it had its lease.
    fn lost(&self, log: &SerialLog, now: Nanos) -> Option<Grant> {
        self.completion(log, log.running?).filter(|completion| completion.at <= now)
    }

    /// Writes it down, as something new is about to be.
    fn complete_lost(&self, log: &mut SerialLog, now: Nanos) {
        if let Some(Grant { cost, at }) = self.lost(log, now) {
            log.running = None;
            self.complete(log, cost, at);
        }
    }

    /// The call goes on, also when its lease has ended and nobody has noticed.
    fn renew(&self, log: &mut SerialLog, now: Nanos, grant: Grant) -> Decision {
        // By then all that is known of it may have been forgotten.
        let is_new = self.lost(log, now).is_some_and(|lost| now - lost.at >= self.period());
        if log.running != Some(grant) || is_new {
            // It was lost, and its turn is anybody's.
            return self.take(log, now, grant.cost);
        }
        // Without a lease nothing begins anew: a renewal whose answer is lost leaves the grant by which
        // its holder ends it.
        let at = self.lease.map_or(grant.at, |_| grant.at.max(now));
        let grant = Grant { at, ..grant };
        log.running = Some(grant);
        self.standing(Outcome::Granted(grant), log, now)
    }

    /// A period after this completion.
    fn new_after(&self, completion: Option<Grant>) -> Nanos {
        completion.map_or(Nanos::MAX, |completion| completion.at + self.period())
    }

    fn standing(&self, outcome: Outcome, log: &SerialLog, now: Nanos) -> Decision {
        let permits = self.rate.permits();
        let remaining = match self.ending(log) {
            Some(ending) if ending.at <= now => {
                let window = log.completions.window(self.period(), now);
                // At most the permits of the rate, which are a u32.
                u64::from(permits).saturating_sub(self.used(&window, ending, now)) as u32
            }
            _ => 0,
        };
        let full_after = self.new_at(log) - now;
        Decision { outcome, limit: permits, remaining, full_after, rate: 0 }
    }
}

impl Algorithm for Serialized {
    type State = SerialLog;

    type Permits = Held;

    fn decide(&self, log: &mut SerialLog, now: Nanos, ask: Ask) -> Decision {
        let is_running = |grant| log.running == Some(grant);
        let grant = match ask {
            Ask::Take(take) => return self.take(log, now, take.cost),
            Ask::Peek(take) => return self.look(log, now, take.cost),
            Ask::Renew(grant) => return self.renew(log, now, grant),
            Ask::GiveBack(grant) if is_running(grant) => {
                log.running = None;
                grant
            }
            Ask::End(grant) if is_running(grant) => {
                // It ends no earlier than it began, whatever the clock says.
                let end = self.lost(log, now).map_or(grant.at.max(now), |lost| lost.at);
                log.running = None;
                self.complete(log, grant.cost, end);
                grant
            }
            Ask::GiveBack(grant) | Ask::End(grant) => grant,
            Ask::Charge(0) => Grant { cost: 0, at: now },
            Ask::Charge(cost) => {
                self.complete_lost(log, now);
                self.complete(log, cost, now)
            }
        };
        self.standing(Outcome::Granted(grant), log, now)
    }

    /// A period after the last completion; while a call runs, after the end of its lease, and never
    /// without one.
    fn new_at(&self, log: &SerialLog) -> Nanos {
        match log.running {
            Some(running) => self.new_after(self.completion(log, running)),
            None => log.completions.empty_at(self.period()),
        }
    }

    fn interval(&self) -> Nanos {
        self.rate.interval().into()
    }

    /// One interval, or [`WAKE_UP`], and no longer than the lease: no other call runs while one is
    /// about to begin.
    fn shelf_life(&self) -> Nanos {
        let longest = self.interval().max(WAKE_UP);
        self.lease.map_or(longest, |lease| lease.min(longest))
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    fn most_in(&self, length: Duration) -> u64 {
        u64::from(self.rate.permits()).saturating_mul(slots_in(length, self.period()))
    }

    /// The call that runs goes on, and the completions stay: those that were forgotten because
    /// they were older than the period before are not counted by a longer one. Another lease applies to
    /// it, too, from when it was granted or, while there was one, renewed.
    fn carry_over(&self, _: &Self, _: &mut SerialLog, _: Nanos) {}
}

impl Refills for Serialized {}
