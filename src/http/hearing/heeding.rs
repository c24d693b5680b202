//! The algorithm of a pause, and of what comes after it.

use super::{Heard, slowdown::Slowdown};
use crate::{
    algorithm::{Algorithm, Refills, Spent, WAKE_UP},
    decision::{Ask, Decision, Grant, Outcome, Take},
    error::RateLimited,
    limiter::RateLimiter,
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// The longest pause that is believed, one day: after it somebody looks whether it still holds.
const LONGEST: Nanos = Nanos::new(86_400 * 1_000_000_000);

/// Limits calls only when a server says so: they pause, and then leave one after the other.
///
/// While nothing was heard every call passes. After a refusal, or when nothing is left, calls wait
/// until the pause ends, and from then on they are let go at a pace: never all at once. The pace is
/// that of `rate` or, where the server says that `r` calls are left for `t` seconds, an even use of
/// those if that is slower. It holds until a slot and the interval after it have gone by unused:
/// calls then pass as before. So a server can only slow calls down.
///
/// [`HeedLayer`](super::HeedLayer) listens for a client; what is heard in another way is passed to
/// [`heed`](RateLimiter::heed).
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tokio::time::Instant;
/// use tower_ratelimit::{Rate, RateLimiter, http::{Heard, Heeding}};
///
/// let limiter = RateLimiter::new(Heeding::new(Rate::per_second(10)?));
/// let retry_after = Some(Duration::from_secs(2));
/// limiter.heed(&Heard { refused: true, retry_after, ..Heard::default() })?;
///
/// let start = Instant::now();
/// for _ in 0..3 {
///     limiter.acquire().await?;
/// }
/// assert_eq!(start.elapsed(), Duration::from_millis(2200));
/// # Ok(())
/// # }
/// ```
///
/// # Bound
///
/// None while nothing is heard. From a pause on, at least an interval of the pace passes between two
/// calls, as with [`Strict`](crate::Strict); for more than a few hundred a second see
/// [`Clock::precise`](crate::Clock::precise).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heeding {
    rate: Rate,
    interval: Nanos,
    adapts: bool,
}

/// The state of [`Heeding`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heeded {
    /// When the pause ends.
    pause: Nanos,
    /// When the slot after the last one begins.
    next: Nanos,
    /// When the last slot was taken.
    taken_at: Nanos,
    /// From when on everybody passes who finds nobody in line.
    free: Nanos,
    /// How far apart the server wants calls, and until when.
    told: Nanos,
    told_until: Nanos,
    slowdown: Slowdown,
}

impl Heeding {
    /// Lets calls go at this pace after a pause. Inside of another limit, take a rate that is not
    /// above that one: calls that had its permits before the pause leave at this pace after it.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, interval: rate.interval().into(), adapts: false }
    }

    /// Finds the pace by trying: a refusal halves it, to a sixty-fourth at least, and after the
    /// pause it comes back evenly, the whole rate in a minute. Until it is back, calls are paced.
    /// Of calls that were under way together one refusal counts.
    ///
    /// For a server that refuses without saying for how long, or whose limit others use, too.
    #[must_use]
    pub fn adaptive(self) -> Self {
        Self { adapts: true, ..self }
    }

    /// Changes the state as a response says that came in at `now`.
    fn hear(&self, state: &mut Heeded, now: Nanos, heard: &Heard) {
        if now >= state.free {
            *state = Heeded::default();
        }
        if let Some(pause) = heard.pause() {
            let before = state.pause;
            let end = now + Nanos::from(pause).min(LONGEST);
            state.pause = before.max(end);
            let is_news = now >= before && state.slowdown.is_news(state.taken_at);
            state.slowdown = match self.adapts && heard.refused && is_news {
                true => state.slowdown.halve(now, state.pause),
                false => state.slowdown.put_off(now, state.pause),
            };
            let paced = state.pause.max(state.slowdown.ends()) + self.interval;
            state.free = state.free.max(paced);
        }
        let told = heard.left.filter(|_| now < state.free);
        if let Some((left, apart)) = told.and_then(|left| Some((left, left.apart()?))) {
            state.told = Nanos::from(apart).min(LONGEST);
            state.told_until = now + Nanos::from(left.within).min(LONGEST);
        }
    }

    /// How far apart calls are that are let go at `now`.
    fn gap(&self, state: &Heeded, now: Nanos) -> Nanos {
        let told = if now < state.told_until { state.told } else { Nanos::ZERO };
        state.slowdown.stretch(self.interval, now).max(told)
    }

    fn take(&self, state: &mut Heeded, now: Nanos, take: Take) -> Decision {
        // Those in line leave at the pace however late they are woken.
        let is_paced = take.queued || now < state.free;
        let slot = state.pause.max(state.next);
        if take.cost == 0 || !is_paced {
            return standing(Outcome::Granted(Grant { cost: take.cost, at: now }), state, now);
        }
        if slot > now {
            return standing(Outcome::Later(slot - now), state, now);
        }
        let gap = self.gap(state, now);
        // From now and not from its slot, so that one that was late is not followed too closely: the
        // server counts by when calls come.
        state.next = now + gap * take.cost;
        state.taken_at = now;
        state.free = state.free.max(state.next + gap);
        standing(Outcome::Granted(Grant { cost: take.cost, at: now }), state, now)
    }
}

fn standing(outcome: Outcome, state: &Heeded, now: Nanos) -> Decision {
    let slot = state.pause.max(state.next);
    let (limit, remaining) = match now >= state.free {
        true => (u32::MAX, u32::MAX),
        false => (1, u32::from(slot <= now)),
    };
    Decision { outcome, limit, remaining, full_after: state.free - now, rate: 0 }
}

impl Algorithm for Heeding {
    type State = Heeded;

    type Permits = Spent;

    fn decide(&self, state: &mut Heeded, now: Nanos, ask: Ask) -> Decision {
        match ask {
            Ask::Take(take) => self.take(state, now, take),
            Ask::Peek(take) => self.take(&mut { *state }, now, take),
            Ask::Renew(grant) | Ask::End(grant) => standing(Outcome::Granted(grant), state, now),
            Ask::Charge(cost) => {
                if cost > 0 && now < state.free {
                    let gap = self.gap(state, now);
                    state.next = state.next.max(now) + gap * cost;
                    state.free = state.free.max(state.next + gap);
                }
                standing(Outcome::Granted(Grant { cost, at: now }), state, now)
            }
            Ask::GiveBack(grant) => {
                // The last slot is free again from now on; earlier ones are past.
                if grant.cost > 0 && grant.at == state.taken_at {
                    state.next = state.next.min(now);
                }
                standing(Outcome::Granted(grant), state, now)
            }
        }
    }

    fn new_at(&self, state: &Heeded) -> Nanos {
        state.free
    }

    fn interval(&self) -> Nanos {
        self.interval
    }

    fn shelf_life(&self) -> Nanos {
        self.interval.max(WAKE_UP)
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    fn most_in(&self, length: Duration) -> u64 {
        if length.is_zero() { 0 } else { u64::MAX }
    }

    /// A pause is the server's, whatever our pace; and the next slots are at the new one.
    fn carry_over(&self, _: &Self, _: &mut Heeded, _: Nanos) {}
}

impl Refills for Heeding {}

impl RateLimiter<Heeding> {
    /// Pauses, or changes the pace, as a response says. It holds for waiting calls as well: one
    /// that would have to wait longer now than it [accepted](crate::limiter::Acquire::max_wait) is refused
    /// at once.
    ///
    /// # Errors
    ///
    /// [`TooManyKeys`](crate::Reason::TooManyKeys) when it is one of many keys, is not kept, and there
    /// is no room for it.
    pub fn heed(&self, heard: &Heard) -> Result<(), RateLimited> {
        let change = |heeding: &Heeding, state: &mut Heeded, now| heeding.hear(state, now, heard);
        match heard.pause() {
            Some(_) => self.amend(change),
            // It matters only where there was a pause before.
            None if heard.left.is_some() => {
                self.amend_kept(change);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
