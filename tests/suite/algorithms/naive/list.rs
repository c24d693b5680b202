//! A list of all calls.

use super::{Answer, Naive};

/// All calls there ever were.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct List {
    /// Permits and period.
    rates: Vec<(u64, u64)>,
    /// Instant and cost.
    pub(in crate::algorithms) calls: Vec<(u64, u64)>,
}

impl List {
    pub(in crate::algorithms) fn new(rates: impl IntoIterator<Item = (u32, u64)>) -> Self {
        let rates = rates.into_iter();
        Self {
            rates: rates.map(|(permits, period)| (u64::from(permits), period)).collect(),
            calls: Vec::new(),
        }
    }

    /// The permits that this rate has left at this instant: those of the fullest window that
    /// holds the instant. The fullest ones begin with a call.
    pub(in crate::algorithms) fn left(&self, rate: usize, now: u64) -> u64 {
        let (permits, period) = self.rates[rate];
        let in_window = |start: u64| {
            let inside = |at: u64| start <= at && at < start + period;
            let calls = self.calls.iter().filter(|(at, _)| inside(*at));
            match inside(now) {
                true => calls.map(|(_, cost)| cost).sum(),
                false => 0,
            }
        };
        let starts = self.calls.iter().map(|(at, _)| *at);
        permits.saturating_sub(starts.map(in_window).max().unwrap_or(0))
    }

    /// The first rate by growing period that lacks permits.
    pub(in crate::algorithms) fn failing(&self, now: u64, cost: u64) -> Option<usize> {
        (0..self.rates.len()).find(|rate| self.left(*rate, now) < cost)
    }
}

impl Naive for List {
    fn call(&mut self, now: u64, cost: u32, _: bool) -> Answer {
        let cost = u64::from(cost);
        if self.rates.iter().any(|(permits, _)| cost > *permits) {
            return Answer::Never;
        }
        if cost == 0 {
            return Answer::Now;
        }
        if self.failing(now, cost).is_none() {
            self.calls.push((now, cost));
            return Answer::Now;
        }
        let leaves = |(at, _): &(u64, u64)| {
            let leaves = self.rates.iter().map(|(_, period)| at + period);
            leaves.collect::<Vec<_>>()
        };
        let mut instants: Vec<u64> = self.calls.iter().flat_map(leaves).collect();
        instants.sort_unstable();
        let first = instants
            .into_iter()
            .filter(|instant| *instant > now)
            .find(|instant| self.failing(*instant, cost).is_none());
        Answer::Later(first.unwrap() - now)
    }

    fn new_at(&self) -> u64 {
        let longest = self.rates.iter().map(|(_, period)| *period).max().unwrap();
        self.calls.last().map_or(0, |(at, _)| at + longest)
    }
}
