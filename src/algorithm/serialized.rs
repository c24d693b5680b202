//! One call at a time, and a number of completions in a window.

use super::{
    Algorithm, Held, Refills, WAKE_UP, slots_in, stored::StoredState, window_log::WindowLog,
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
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
/// While a call runs its end is unknown, so a refusal has no `retry_after`; between two
/// calls it is exact. A permit given back is of a call that never took place. One that has ended
/// does not come back, nor do permits that were [charged](Ask::Charge), which count as completions
/// of their own. A call of cost n counts as n completions.
///
/// Its state has an entry of 16 bytes for each completion in the period, at most as many as the
/// rate has permits, and a decision takes time logarithmic in their number.
///
/// # Bound
///
/// In any half-open window of length w, at most `permits * ceil(w / period)` calls begin, and as
/// many end.
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
    serde(from = "super::written::pace::Paced", into = "super::written::pace::Paced")
)]
pub struct Serialized {
    pub(super) rate: Rate,
}

/// The state of [`Serialized`]: the call that runs, and those that have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SerialLog {
    running: Option<Grant>,
    completions: WindowLog,
}

impl StoredState for SerialLog {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.running.write(bytes);
        self.completions.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let running: Option<Grant> = StoredState::read(bytes)?;
        // A call of no cost does not run as far as the limit knows.
        let is_none_or_counts = running.is_none_or(|grant| grant.cost > 0);
        let completions = WindowLog::read(bytes)?;
        is_none_or_counts.then_some(Self { running, completions })
    }

    /// The call counts as completed.
    fn end_calls(&mut self, now: Nanos) {
        if let Some(Grant { cost, at }) = self.running.take() {
            self.completions.push(Grant { cost, at: self.completions.latest(at.max(now)) });
        }
    }
}

impl Serialized {
    /// Creates a limit of one call at a time, and at most the permits of this rate in completions
    /// in any window as long as its period.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate }
    }

    fn period(&self) -> Nanos {
        self.rate.period().into()
    }

    /// What a take of this cost would be answered.
    fn look(&self, log: &SerialLog, now: Nanos, cost: u32) -> Decision {
        let permits = u64::from(self.rate.permits());
        let window = log.completions.window(self.period(), now);
        let missing = (window.used + u64::from(cost)).saturating_sub(permits);
        let outcome = match missing {
            _ if cost == 0 => Outcome::Granted(Grant { cost, at: now }),
            _ if cost > self.rate.permits() => Outcome::Never,
            _ if log.running.is_some() => Outcome::InUse(None),
            0 => Outcome::Granted(Grant { cost, at: log.completions.latest(now) }),
            _ => {
                let wait = log.completions.freed(&window, missing, now);
                // At the end of the time line nothing is let go.
                Outcome::Later(wait.max(Nanos::new(1)))
            }
        };
        let standing = self.standing(outcome, log, now);
        match outcome {
            Outcome::Granted(_) if cost > 0 => {
                Decision { remaining: 0, full_after: Nanos::MAX - now, ..standing }
            }
            _ => standing,
        }
    }

    fn take(&self, log: &mut SerialLog, now: Nanos, cost: u32) -> Decision {
        let decision = self.look(log, now, cost);
        if let (Outcome::Granted(grant), 1..) = (decision.outcome, cost) {
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

    fn standing(&self, outcome: Outcome, log: &SerialLog, now: Nanos) -> Decision {
        let permits = self.rate.permits();
        let used = log.completions.window(self.period(), now).used;
        let remaining = match log.running {
            Some(_) => 0,
            // At most the permits of the rate, which are a u32.
            None => u64::from(permits).saturating_sub(used) as u32,
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
            Ask::Renew(grant) if is_running(grant) => {
                let grant = Grant { at: grant.at.max(now), ..grant };
                log.running = Some(grant);
                grant
            }
            // It was lost, and its turn is anybody's.
            Ask::Renew(grant) => return self.take(log, now, grant.cost),
            Ask::GiveBack(grant) if is_running(grant) => {
                log.running = None;
                grant
            }
            Ask::End(grant) if is_running(grant) => {
                log.running = None;
                // It ends no earlier than it began, whatever the clock says.
                self.complete(log, grant.cost, grant.at.max(now));
                grant
            }
            Ask::GiveBack(grant) | Ask::End(grant) => grant,
            Ask::Charge(0) => Grant { cost: 0, at: now },
            Ask::Charge(cost) => self.complete(log, cost, now),
        };
        self.standing(Outcome::Granted(grant), log, now)
    }

    /// A period after the last completion; never, while a call runs.
    fn new_at(&self, log: &SerialLog) -> Nanos {
        match log.running {
            Some(_) => Nanos::MAX,
            None => log.completions.empty_at(self.period()),
        }
    }

    fn interval(&self) -> Nanos {
        self.rate.interval().into()
    }

    /// One interval, or [`WAKE_UP`]: no other call runs while one is about to begin.
    fn shelf_life(&self) -> Nanos {
        self.interval().max(WAKE_UP)
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    fn most_in(&self, length: Duration) -> u64 {
        u64::from(self.rate.permits()).saturating_mul(slots_in(length, self.period()))
    }

    /// The call that runs goes on, and the completions stay: those that were forgotten because
    /// they were older than the period before are not counted by a longer one.
    fn carry_over(&self, _: &Self, _: &mut SerialLog, _: Nanos) {}
}

impl Refills for Serialized {}
