//! A log of calls, and how many permits of it are in a window.

use super::stored::{StoredState, read_grants, write_grants};
use crate::{decision::Grant, nanos::Nanos};
use std::{cmp::Ordering, collections::VecDeque};

/// The state of [`SlidingWindow`](crate::SlidingWindow): the calls of the longest period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowLog {
    /// The calls, oldest first.
    calls: VecDeque<Call>,
    /// How many permits were taken before the oldest call.
    before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    at: Nanos,
    /// How many permits were taken up to and with this call. A running sum, so that the permits
    /// between any two calls are one subtraction.
    total: u64,
}

/// The part of a log that one rate looks at.
pub(super) struct Window {
    period: Nanos,
    /// The index of the oldest call in the window.
    start: usize,
    /// The running sum before that call.
    before: u64,
    pub(super) used: u64,
}

impl WindowLog {
    pub(super) fn window(&self, period: Nanos, now: Nanos) -> Window {
        let start = self.first_not(0, |call| now - call.at >= period);
        let before = self.total_before(start);
        Window { period, start, before, used: self.total() - before }
    }

    /// The index of the first call from `low` on of which something does not hold; it holds of all
    /// before it. Mostly that are few, so it is looked for in ever longer steps from there, and
    /// between the last two of them.
    fn first_not(&self, low: usize, holds: impl Fn(&Call) -> bool) -> usize {
        let is_before = |index| self.calls.get(index).is_some_and(&holds);
        let (mut low, mut high) = (low, low);
        let mut step = 1;
        while is_before(high) {
            low = high + 1;
            high += step;
            step *= 4;
        }
        high = high.min(self.calls.len());
        while low < high {
            let middle = low.midpoint(high);
            match is_before(middle) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    fn total(&self) -> u64 {
        self.total_before(self.calls.len())
    }

    fn total_before(&self, index: usize) -> u64 {
        match index.checked_sub(1).and_then(|last| self.calls.get(last)) {
            Some(call) => call.total,
            None => self.before,
        }
    }

    /// How long until this many permits, one at least and in use now, have left the window.
    pub(super) fn freed(&self, window: &Window, permits: u64, now: Nanos) -> Nanos {
        let enough = window.before + permits;
        let index = self.first_not(window.start, |call| call.total < enough);
        match self.calls.get(index) {
            Some(call) => call.at + window.period - now,
            None => Nanos::ZERO,
        }
    }

    /// The instant at which a call is written down: now, but never before those already in the
    /// log, as a clock that was set back must not put it out of order.
    pub(super) fn latest(&self, now: Nanos) -> Nanos {
        self.calls.back().map_or(now, |call| call.at.max(now))
    }

    pub(super) fn push(&mut self, grant: Grant) {
        let total = self.total() + u64::from(grant.cost);
        self.calls.push_back(Call { at: grant.at, total });
    }

    /// Takes permits out, as if they had never been taken: a call, or a part of one. They may have left
    /// the log already.
    pub(super) fn remove(&mut self, grant: Grant) -> bool {
        let cost = u64::from(grant.cost);
        let first = self.calls.partition_point(|call| call.at < grant.at);
        let same_instant = self.calls.iter().enumerate().skip(first);
        let mut larger = None;
        let mut found = None;
        for (index, _) in same_instant.take_while(|(_, call)| call.at == grant.at) {
            match self.cost_of(index).cmp(&cost) {
                Ordering::Equal => {
                    found = Some(index);
                    break;
                }
                Ordering::Greater => larger = larger.or(Some(index)),
                Ordering::Less => {}
            }
        }
        // Permits of one instant are as good as each other.
        let Some(index) = found.or(larger) else { return false };
        if found.is_some() {
            self.calls.remove(index);
        }
        for call in self.calls.iter_mut().skip(index) {
            call.total -= cost;
        }
        true
    }

    fn cost_of(&self, index: usize) -> u64 {
        self.total_before(index + 1) - self.total_before(index)
    }

    pub(super) fn forget(&mut self, longest: Nanos, now: Nanos) {
        self.forget_first(self.first_not(0, |call| now - call.at >= longest));
    }

    /// Forgets the oldest calls as long as the younger ones are this many permits: who asks for so
    /// few at most finds the window full for as long with them or without.
    pub(super) fn forget_beyond(&mut self, permits: u32) {
        let total = self.total();
        let is_beyond = |call: &Call| total - call.total >= u64::from(permits);
        self.forget_first(self.first_not(0, is_beyond));
    }

    /// Forgets so many of the oldest calls, at once however many.
    fn forget_first(&mut self, calls: usize) {
        self.before = self.total_before(calls);
        self.calls.drain(..calls);
    }

    /// When no call is left in a window of this length.
    pub(super) fn empty_at(&self, period: Nanos) -> Nanos {
        self.calls.back().map_or(Nanos::ZERO, |call| call.at + period)
    }
}

/// The calls as they were granted. The running sum begins anew, as only what lies between two calls
/// matters.
impl StoredState for WindowLog {
    fn write(&self, bytes: &mut Vec<u8>) {
        let grants = self.calls.iter().enumerate().map(|(index, call)| {
            let cost = self.cost_of(index);
            // As much as the call was granted, which was a u32.
            Grant { cost: cost as u32, at: call.at }
        });
        write_grants(grants, bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut log = Self::default();
        read_grants(bytes)?.into_iter().for_each(|grant| log.push(grant));
        Some(log)
    }
}

#[cfg(test)]
mod tests {
    use super::WindowLog;
    use crate::{decision::Grant, nanos::Nanos};

    /// One permit each nanosecond.
    fn log(calls: u64) -> WindowLog {
        let mut log = WindowLog::default();
        (1..=calls).for_each(|at| log.push(Grant { cost: 1, at: Nanos::new(at) }));
        log
    }

    #[test]
    fn the_first_call_that_differs_is_found_wherever_it_is() {
        for calls in 0..90 {
            let log = log(calls);
            for differs in 0..=calls + 1 {
                for low in 0..=(differs.min(calls) as usize) {
                    let first = log.first_not(low, |call| call.total <= differs);
                    assert_eq!(first, differs.min(calls) as usize, "{differs} of {calls}, {low}");
                }
            }
        }
    }

    #[test]
    fn calls_that_are_forgotten_count_for_those_behind_them_as_before() {
        for forgotten in 0..=90 {
            let mut log = log(90);
            let now = Nanos::new(30 + forgotten);
            log.forget(Nanos::new(30), now);
            assert_eq!(log.calls.len() as u64, 90 - forgotten);
            assert_eq!(log.total_before(0), forgotten);
            assert_eq!(log.window(Nanos::new(30), now).used, 90 - forgotten);
        }
    }
}
