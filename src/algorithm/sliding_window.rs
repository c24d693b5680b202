//! Never more than n permits in any window, exactly, for one or more rates.

use super::{
    Algorithm, Refills, Spent, WAKE_UP,
    window_log::{Window, WindowLog},
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// Never grants more than n permits in any window, exactly, for one or more rates.
///
/// For every rate, no half-open window as long as its period holds more than its permits. Each
/// call is written into a log with the instant at which it took place. Two calls exactly
/// one period apart are in different windows, so a try at exactly `retry_after` succeeds. Several
/// rates (ten a second *and* a thousand a day) are checked and taken together or not at all; a
/// refusal names the first failing rate by growing period, and its `retry_after` is the latest
/// over all of them.
///
/// Where both ends of a window count, as some vendors have it, two calls exactly one period apart
/// are still in the same one. Time is whole nanoseconds, so that rule is a period of 1 ns more:
/// `Rate::new(n, period + Duration::from_nanos(1))`.
///
/// All permits of a window may be used at once. The log holds one entry of 16 bytes for each
/// call in the longest period, and a decision takes time logarithmic in their number. For long
/// periods with many permits take [`LeakyBucket::any_window`](crate::LeakyBucket::any_window):
/// the same bound in one word.
///
/// # Bound
///
/// In any half-open window of length w, at most `permits * ceil(w / period)`, for each rate.
///
/// ```
/// use tower_ratelimit::{Rate, RateLimiter, SlidingWindow};
///
/// let rates = [Rate::per_second(2)?, Rate::per_day(1000)?];
/// let limiter = RateLimiter::new(SlidingWindow::all(rates)?);
/// limiter.try_acquire_many(2).expect("two a second");
/// let refused = limiter.try_acquire().unwrap_err();
/// assert_eq!(refused.rate(), Some(rates[0]));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(try_from = "super::written::windows::Rates", into = "super::written::windows::Rates")
)]
pub struct SlidingWindow {
    /// By growing period.
    rates: Vec<Rate>,
    /// One permit of the rate with the shortest period.
    interval: Nanos,
    longest: Nanos,
}

impl SlidingWindow {
    /// Creates a limit of the permits of this rate in any window as long as its period.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self::sorted(vec![rate])
    }

    /// Creates a limit of several rates at once, given in any order.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there is no rate, or when one of them can never be binding: sorted by
    /// period, the permits must grow from rate to rate, and the density (permits by period) must
    /// fall or stay. The error names the pair.
    pub fn all(rates: impl IntoIterator<Item = Rate>) -> Result<Self, Invalid> {
        let mut rates: Vec<Rate> = rates.into_iter().collect();
        if rates.is_empty() {
            return Err(Invalid::new("rates", "empty", "at least one rate"));
        }
        rates.sort_by_key(Rate::period);
        for pair in rates.windows(2) {
            check_pair(pair[0], pair[1])?;
        }
        Ok(Self::sorted(rates))
    }

    /// Returns the rates, by growing period.
    #[must_use]
    pub fn rates(&self) -> &[Rate] {
        &self.rates
    }

    pub(super) fn sorted(rates: Vec<Rate>) -> Self {
        let periods = || rates.iter().map(|rate| Nanos::from(rate.period()));
        let shortest = rates.first().map(Rate::interval);
        Self {
            interval: shortest.map_or(Nanos::new(1), Nanos::from),
            longest: periods().next_back().unwrap_or_default(),
            rates,
        }
    }

    /// How the log stands, and whether a call would fit into all windows.
    fn look(&self, log: &WindowLog, now: Nanos, cost: u32) -> Decision {
        let mut outcome = Outcome::Granted(Grant { cost, at: log.latest(now) });
        let mut binding = Binding { rate: 0, limit: u32::MAX, remaining: u32::MAX };
        for (index, rate) in self.rates.iter().enumerate() {
            let window = log.window(rate.period().into(), now);
            // At most the permits of the rate, which are a u32.
            let remaining = u64::from(rate.permits()).saturating_sub(window.used) as u32;
            let this = Binding { rate: index, limit: rate.permits(), remaining };
            let refused = self.refuse(log, &window, this, now, cost);
            match (outcome, refused) {
                // The first failing rate is the one named, the wait is the longest of all.
                (Outcome::Granted(_), Some(refused)) => (outcome, binding) = (refused, this),
                (Outcome::Later(wait), Some(Outcome::Later(longer))) => {
                    outcome = Outcome::Later(wait.max(longer));
                }
                // Between two rates with as little left, the shorter one is named.
                (Outcome::Granted(_), None) if remaining < binding.remaining => binding = this,
                _ => {}
            }
        }
        let Binding { rate, limit, remaining } = binding;
        Decision { outcome, limit, remaining, full_after: self.new_at(log) - now, rate }
    }

    /// The same decision with the call in the log, if it was granted.
    fn with(&self, decision: Decision, log: &WindowLog, now: Nanos, cost: u32) -> Decision {
        match decision.outcome {
            Outcome::Granted(_) if cost > 0 => Decision {
                remaining: decision.remaining - cost,
                full_after: log.latest(now) + self.longest - now,
                ..decision
            },
            _ => decision,
        }
    }

    /// Why a call does not fit into a window; `None` when it does.
    fn refuse(
        &self,
        log: &WindowLog,
        window: &Window,
        rate: Binding,
        now: Nanos,
        cost: u32,
    ) -> Option<Outcome> {
        if cost > rate.limit {
            return Some(Outcome::Never);
        }
        match (window.used + u64::from(cost)).saturating_sub(u64::from(rate.limit)) {
            _ if cost == 0 => None,
            0 => None,
            missing => Some(Outcome::Later(log.freed(window, missing, now))),
        }
    }
}

/// How one rate stands.
#[derive(Clone, Copy)]
struct Binding {
    rate: usize,
    limit: u32,
    remaining: u32,
}

/// Whether both rates can be binding: `first` has the shorter period.
fn check_pair(first: Rate, second: Rate) -> Result<(), Invalid> {
    let [(few, short), (many, long)] =
        [first, second].map(|rate| (u128::from(rate.permits()), rate.period().as_nanos()));
    let allowed = if short == long {
        "of different periods"
    } else if few >= many {
        "of growing permits when sorted by period"
    } else if few * long < many * short {
        "of falling density (permits by period) when sorted by period"
    } else {
        return Ok(());
    };
    let pair = format_args!("{first} with {second}").to_string();
    Err(Invalid::new("rates", pair, allowed))
}

impl Algorithm for SlidingWindow {
    type State = WindowLog;

    type Permits = Spent;

    fn decide(&self, log: &mut WindowLog, now: Nanos, ask: Ask) -> Decision {
        let grant = match ask {
            Ask::Take(take) => {
                let decision = self.look(log, now, take.cost);
                if let (Outcome::Granted(grant), 1..) = (decision.outcome, take.cost) {
                    log.forget(self.longest, now);
                    log.push(grant);
                }
                return self.with(decision, log, now, take.cost);
            }
            Ask::Peek(take) => {
                let decision = self.look(log, now, take.cost);
                return self.with(decision, log, now, take.cost);
            }
            // What has left the log is gone, whether it was forgotten yet or not.
            Ask::Renew(grant)
                if now > grant.at && now - grant.at < self.longest && log.remove(grant) =>
            {
                let grant = Grant { at: log.latest(now), ..grant };
                log.push(grant);
                grant
            }
            Ask::Renew(grant) | Ask::End(grant) => grant,
            Ask::Charge(cost) => {
                let grant = Grant { cost, at: log.latest(now) };
                if cost > 0 {
                    log.forget(self.longest, now);
                    log.push(grant);
                }
                grant
            }
            Ask::GiveBack(grant) => {
                log.remove(grant);
                grant
            }
        };
        Decision { outcome: Outcome::Granted(grant), ..self.look(log, now, 0) }
    }

    fn new_at(&self, log: &WindowLog) -> Nanos {
        log.empty_at(self.longest)
    }

    fn interval(&self) -> Nanos {
        self.interval
    }

    /// Not longer than the shortest period: a call counts from when it takes place, and until then
    /// its permit has to be in the window.
    fn shelf_life(&self) -> Nanos {
        let shortest = self.rates.first().map_or(Nanos::ZERO, |rate| rate.period().into());
        self.interval.max(WAKE_UP.min(shortest))
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.rates.get(index).copied()
    }

    fn most_in(&self, length: Duration) -> u64 {
        let windows = |rate: &Rate| super::slots_in(length, rate.period().into());
        let bounds =
            self.rates.iter().map(|rate| u64::from(rate.permits()).saturating_mul(windows(rate)));
        bounds.min().unwrap_or_default()
    }

    /// The log stays: what it has forgotten because it was older than the longest period before is
    /// not counted by a longer one.
    fn carry_over(&self, _: &Self, _: &mut WindowLog, _: Nanos) {}
}

impl Refills for SlidingWindow {}
