//! Even pacing that makes up for late wake-ups, and for nothing else.

use super::{
    Algorithm, LONGEST_SPAN, Measure, Refills, Spent, WAKE_UP, end_of_time, late_life, rescale,
    slots_in, stored::stored_fields,
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome, Take},
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

const DEFAULT_MAX_BURST: u32 = 5;

/// Paces calls evenly, one per interval on a grid, and catches up after late wake-ups.
///
/// While callers wait, slots are one interval apart (the period of the rate divided by its
/// permits). Timers fire late and busy runtimes later still; a release that comes late lets go
/// as many waiters as slots have passed, at most `max_burst`, and keeps the grid. Slots it leaves
/// unused may be taken for one more interval, so that a single task in a loop reaches the rate
/// set. Slots above `max_burst` are lost. Idling earns nothing: after a pause the next call
/// passes at once and begins a new grid.
///
/// The choice for a client that wants the full rate evenly spread. A call of cost n is let go at
/// one slot and takes n.
///
/// # Bound
///
/// In any half-open window of length w ≥ 1 ns, at most `max_burst + ceil((w - 1 ns) / interval)`
/// calls; `ceil(w / interval)` while no release is late. They are counted when permits are granted:
/// a call may use its own up to one interval later and, above 1,000 a second, 1 ms later, or 100 ms
/// if it waited in line.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tokio::time::Instant;
/// use tower_ratelimit::{BurstCompensating, Rate, RateLimiter};
///
/// let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(10)?));
/// let start = Instant::now();
/// for _ in 0..5 {
///     limiter.acquire().await?;
/// }
/// assert_eq!(start.elapsed(), Duration::from_millis(400));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(try_from = "super::written::pace::Bursts", into = "super::written::pace::Bursts")
)]
pub struct BurstCompensating {
    pub(super) rate: Rate,
    pub(super) interval: Nanos,
    pub(super) max_burst: u32,
}

/// The state of [`BurstCompensating`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacedState {
    /// The next slot of the grid.
    next: Nanos,
    /// One interval after the last late release: until then slots in the past may be taken.
    catch_up_until: Nanos,
    /// When the last slots were taken.
    taken_at: Nanos,
}

stored_fields!(PacedState { next, catch_up_until, taken_at });

impl BurstCompensating {
    /// Creates a limit with calls one interval of this rate apart, catching up by bursts of at most
    /// 5.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, interval: rate.interval().into(), max_burst: DEFAULT_MAX_BURST }
    }

    /// Sets how many calls are let go at once at most after a late wake-up, 1 and up.
    ///
    /// tokio's timer ticks in milliseconds: to reach a rate above 1,000 a second, allow at least
    /// the calls that are due in two milliseconds.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `max_burst` is zero, or that many intervals are more than 250 years.
    pub fn max_burst(self, max_burst: u32) -> Result<Self, Invalid> {
        let span = self.interval.checked_mul(max_burst);
        if max_burst == 0 || span.is_none_or(|span| span > LONGEST_SPAN) {
            let most = LONGEST_SPAN / self.interval;
            let allowed = format_args!("1 to {most}").to_string();
            return Err(Invalid::new("max_burst", max_burst, allowed));
        }
        Ok(Self { max_burst, ..self })
    }

    /// Where the next slot of the grid is if a call is let go now, or why it is not.
    fn pace(&self, state: &PacedState, now: Nanos, take: Take) -> Result<Nanos, Outcome> {
        let length = self.interval.checked_mul(take.cost);
        let length = length.filter(|length| *length <= LONGEST_SPAN).ok_or(Outcome::Never)?;
        if take.cost > 0 && state.next > now {
            return Err(Outcome::Later(state.next - now));
        }
        let end = self.slot(state, now, take.queued).checked_add(length);
        // At the end of the time line nothing more can be remembered, so nothing is let go.
        end.ok_or(end_of_time(now))
    }

    /// The slot that a call takes which is let go now.
    fn slot(&self, state: &PacedState, now: Nanos, queued: bool) -> Nanos {
        if !queued && now >= state.catch_up_until {
            return state.next.max(now);
        }
        let missed = (now - state.next) / self.interval;
        let lost = missed.saturating_sub(u64::from(self.max_burst) - 1);
        Nanos::new(state.next.get() + lost * self.interval.get())
    }

    fn take(&self, state: &mut PacedState, now: Nanos, take: Take) -> Decision {
        match self.pace(state, now, take) {
            Ok(next) => {
                if take.cost > 0 {
                    if take.queued && now > state.next {
                        state.catch_up_until = now + self.interval;
                    }
                    state.next = next;
                    state.taken_at = now;
                }
                let grant = Grant { cost: take.cost, at: now };
                self.standing(Outcome::Granted(grant), state, now)
            }
            Err(outcome) => self.standing(outcome, state, now),
        }
    }

    fn standing(&self, outcome: Outcome, state: &PacedState, now: Nanos) -> Decision {
        Decision {
            outcome,
            limit: 1,
            remaining: u32::from(state.next <= now),
            full_after: self.new_at(state) - now,
            rate: 0,
        }
    }
}

impl Algorithm for BurstCompensating {
    type State = PacedState;

    type Permits = Spent;

    fn decide(&self, state: &mut PacedState, now: Nanos, ask: Ask) -> Decision {
        match ask {
            Ask::Take(take) => self.take(state, now, take),
            Ask::Peek(take) => self.take(&mut { *state }, now, take),
            Ask::Renew(grant) | Ask::End(grant) => {
                self.standing(Outcome::Granted(grant), state, now)
            }
            Ask::Charge(cost) => {
                if cost > 0 {
                    // Like a call that has just come, but for asking whether there is a slot.
                    state.next = self.slot(state, now, false) + self.interval * cost;
                    state.taken_at = now;
                }
                self.standing(Outcome::Granted(Grant { cost, at: now }), state, now)
            }
            Ask::GiveBack(grant) => {
                // Those let go at the same instant are as good as each other: the last slot of
                // them is free. Once others were let go, or the grid began anew, it is too late.
                if grant.at == state.taken_at {
                    state.next = state.next - self.interval * grant.cost;
                }
                self.standing(Outcome::Granted(grant), state, now)
            }
        }
    }

    fn new_at(&self, state: &PacedState) -> Nanos {
        state.next.max(state.catch_up_until)
    }

    fn interval(&self) -> Nanos {
        self.interval
    }

    fn shelf_life(&self) -> Nanos {
        self.interval.max(WAKE_UP)
    }

    #[inline]
    fn late_life(&self) -> Nanos {
        late_life(self.interval)
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    fn most_in(&self, length: Duration) -> u64 {
        match Nanos::from(length).get() {
            0 => 0,
            _ => slots_in(length - Duration::from_nanos(1), self.interval)
                .saturating_add(self.max_burst.into()),
        }
    }

    fn carry_over(&self, before: &Self, state: &mut PacedState, now: Nanos) {
        self.adopt(before.measure(), state, now);
    }

    /// Nothing is cut: a call may take any number of slots.
    fn adopt(&self, before: Measure, state: &mut PacedState, now: Nanos) {
        let before = before.interval;
        let slots_passed = |interval: Nanos| (now - state.next) / interval;
        let passed = slots_passed(before);
        state.next = match slots_passed(self.interval) > passed {
            // No more slots have passed than before: a change is not lateness.
            true => Nanos::new(now.get() - passed * self.interval.get()),
            false => rescale(state.next, before, self.interval, now),
        };
        let caught_up = state.catch_up_until;
        state.catch_up_until = rescale(caught_up, before, self.interval, now);
    }
}

impl Refills for BurstCompensating {}
