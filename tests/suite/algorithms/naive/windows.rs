//! Windows that follow each other.

use super::{Answer, Naive, next_tick};

/// The permits taken in a window, and when that ends.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct Window {
    pub(in crate::algorithms) permits: u64,
    pub(in crate::algorithms) period: u64,
    pub(in crate::algorithms) aligned: Option<u64>,
    pub(in crate::algorithms) used: u64,
    pub(in crate::algorithms) end: u64,
}

impl Naive for Window {
    fn call(&mut self, now: u64, cost: u32, _: bool) -> Answer {
        let cost = u64::from(cost);
        let used = if now < self.end { self.used } else { 0 };
        if cost > self.permits {
            return Answer::Never;
        }
        if used + cost > self.permits && cost > 0 {
            return Answer::Later(self.end - now);
        }
        if cost > 0 && used == 0 {
            let first = self.aligned.unwrap_or(now);
            self.end = next_tick(self.period, first, now);
        }
        if cost > 0 {
            self.used = used + cost;
        }
        Answer::Now
    }

    fn new_at(&self) -> u64 {
        self.end
    }
}

/// All calls there ever were, counted in windows that follow each other.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct Counted {
    pub(in crate::algorithms) permits: u64,
    pub(in crate::algorithms) period: u64,
    /// Instant and cost.
    pub(in crate::algorithms) calls: Vec<(u64, u64)>,
}

impl Counted {
    fn in_window(&self, window: u64) -> u128 {
        let inside = self.calls.iter().filter(|(at, _)| at / self.period == window);
        inside.map(|(_, cost)| u128::from(*cost)).sum()
    }

    /// The permits in this window and the one before, in as many parts as the period has
    /// nanoseconds.
    fn parts(&self, now: u64) -> u128 {
        let window = now / self.period;
        let before = window.checked_sub(1).map_or(0, |before| self.in_window(before));
        let overlap = u128::from(self.period - now % self.period);
        self.in_window(window) * u128::from(self.period) + before * overlap
    }

    fn fits(&self, now: u64, cost: u64) -> bool {
        let [permits, cost, period] = [self.permits, cost, self.period].map(u128::from);
        self.parts(now) + cost * period <= permits * period
    }

    /// The permits of the last period, exactly.
    pub(in crate::algorithms) fn exact(&self, now: u64) -> u64 {
        let inside = self.calls.iter().filter(|(at, _)| now - at < self.period);
        inside.map(|(_, cost)| cost).sum()
    }

    /// The permits of the window before, and how much of this one is over.
    pub(in crate::algorithms) fn before(&self, now: u64) -> (u64, u64) {
        let window = now / self.period;
        let before = window.checked_sub(1).map_or(0, |before| self.in_window(before));
        (u64::try_from(before).unwrap(), now % self.period)
    }
}

impl Naive for Counted {
    fn call(&mut self, now: u64, cost: u32, _: bool) -> Answer {
        let cost = u64::from(cost);
        if cost > self.permits {
            return Answer::Never;
        }
        if cost == 0 {
            return Answer::Now;
        }
        if self.fits(now, cost) {
            self.calls.push((now, cost));
            return Answer::Now;
        }
        // What it is counted to hold only falls, so halving finds the first instant.
        let (mut no, mut yes) = (now, now + 2 * self.period);
        while yes - no > 1 {
            let middle = no + (yes - no) / 2;
            match self.fits(middle, cost) {
                true => yes = middle,
                false => no = middle,
            }
        }
        Answer::Later(yes - now)
    }

    fn new_at(&self) -> u64 {
        self.calls.last().map_or(0, |(at, _)| (at / self.period + 2) * self.period)
    }
}
