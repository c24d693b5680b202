//! What is missing from a bucket that is refilled on a grid.

use super::{grid::Grid, stored::StoredState};
use crate::{decision::Grant, nanos::Nanos};

/// How permits arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refill {
    /// How many at a time.
    pub(super) amount: u64,
    pub(super) grid: Grid,
}

impl Refill {
    /// The most that arrives in a window which begins with a call and goes on for this long, less
    /// what the bucket lacks then.
    pub(super) fn most_in(&self, rest: u64) -> u64 {
        let every = self.grid.every.get().max(1);
        match (rest / every, rest % every) {
            (ticks, 0) => ticks.saturating_mul(self.amount),
            (ticks, _) if self.grid.is_fixed() => (ticks + 1).saturating_mul(self.amount),
            // There is a tick more only when the bucket was not full, and lacked one permit.
            (ticks, _) => ticks.saturating_add(1).saturating_mul(self.amount) - 1,
        }
    }
}

/// The state of [`TokenBucket`](crate::TokenBucket) and of [`FixedWindow`](crate::FixedWindow).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// How many permits are missing from the full bucket at the last tick. More than its capacity
    /// is a debt.
    pub(super) missing: u64,
    /// Those of them that were taken after that tick.
    fresh: u64,
    /// The last tick of the grid: what arrived until then is in `missing`.
    tick: Nanos,
    /// Whether anybody has asked: only then there is a grid.
    pub(super) begun: bool,
}

impl Tokens {
    /// A bucket that is asked for the first time.
    pub(super) fn new(missing: u64, refill: &Refill, now: Nanos) -> Self {
        Self { missing, fresh: 0, tick: refill.grid.begin(now), begun: true }
    }

    /// The same with what has arrived until now.
    pub(super) fn refilled(&self, refill: &Refill, now: Nanos) -> Self {
        let ticks = refill.grid.passed(self.tick, now);
        match self.missing.saturating_sub(ticks.saturating_mul(refill.amount)) {
            0 => Self::new(0, refill, now),
            _ if ticks == 0 => *self,
            missing => {
                Self { missing, fresh: 0, tick: refill.grid.last(self.tick, now), begun: true }
            }
        }
    }

    /// When this many permits will have arrived; `None` beyond the time line.
    pub(super) fn full_at(&self, refill: &Refill, permits: u64) -> Option<Nanos> {
        match permits {
            0 => Some(Nanos::ZERO),
            _ => refill.grid.after(self.tick, permits.div_ceil(refill.amount.max(1))),
        }
    }

    pub(super) fn take(&mut self, cost: u32, now: Nanos) {
        self.missing = self.missing.saturating_add(cost.into());
        if now > self.tick {
            self.fresh = self.fresh.saturating_add(cost.into());
        }
    }

    /// Puts back what has not arrived since it was taken.
    pub(super) fn give_back(&mut self, refill: &Refill, grant: Grant, now: Nanos) {
        let ticks = refill.grid.passed_at_most(grant.at, self.tick);
        let arrived = ticks.saturating_mul(refill.amount);
        let back = u64::from(grant.cost).saturating_sub(arrived).min(self.missing);
        self.missing -= back;
        if grant.at > self.tick {
            self.fresh = self.fresh.saturating_sub(back);
        }
        // Those left found a full bucket, as it turns out: the first of them would have begun the
        // grid. The state does not know when it came, but it was not after now.
        if self.missing > 0 && self.fresh >= self.missing && !refill.grid.is_fixed() {
            self.tick = now.max(self.tick);
            self.fresh = 0;
        }
    }

    /// Goes on with other parameters.
    pub(super) fn carry_over(&mut self, before: &Refill, after: &Refill, now: Nanos) {
        let next = match after.grid.is_fixed() {
            true => self.tick.max(after.grid.begin(now)),
            // A tick that was to come is not in the past now: it comes now at the earliest.
            false => self.tick.max(now - after.grid.every),
        };
        if *before != *after {
            self.tick = next;
        }
    }

    /// No more is missing than a bucket holds.
    pub(super) fn cut(&mut self, capacity: u32) {
        self.missing = self.missing.min(capacity.into());
        self.fresh = self.fresh.min(self.missing);
    }
}

/// Nothing is known of a bucket before it has begun.
impl StoredState for Tokens {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.begun.write(bytes);
        if self.begun {
            self.missing.write(bytes);
            self.fresh.write(bytes);
            self.tick.write(bytes);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        if !bool::read(bytes)? {
            return Some(Self::default());
        }
        let [missing, fresh] = [u64::read(bytes)?, u64::read(bytes)?];
        Some(Self { missing, fresh, tick: Nanos::read(bytes)?, begun: true })
    }
}
