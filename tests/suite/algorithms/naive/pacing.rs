//! Calls apart from each other.

use super::{Answer, LONGEST, Naive, interval};

/// The last release, and how long the next call keeps away from it.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct Gap {
    interval: u64,
    last: Option<(u64, u64)>,
}

impl Gap {
    pub(in crate::algorithms) fn new(permits: u32, period: u64) -> Self {
        Self { interval: interval(u64::from(permits), period), last: None }
    }

    /// The next call keeps so many intervals further away.
    pub(in crate::algorithms) fn widen(&mut self, now: u64, cost: u64) {
        let more = self.interval * cost;
        self.last = match self.last {
            Some((release, gap)) if now - release < gap => Some((release, gap + more)),
            _ => Some((now, more)),
        };
    }
}

impl Naive for Gap {
    fn call(&mut self, now: u64, cost: u32, _: bool) -> Answer {
        if cost == 0 {
            return Answer::Now;
        }
        let gap = match self.interval.checked_mul(u64::from(cost)) {
            Some(gap) if gap <= LONGEST => gap,
            _ => return Answer::Never,
        };
        match self.last {
            Some((release, gap)) if now - release < gap => Answer::Later(release + gap - now),
            _ => {
                self.last = Some((now, gap));
                Answer::Now
            }
        }
    }

    fn new_at(&self) -> u64 {
        self.last.map_or(0, |(release, gap)| release + gap)
    }
}

/// A grid whose slots are written out as far as they have come.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct Grid {
    interval: u64,
    max_burst: usize,
    /// The first slot that nobody took; there is no grid before the first call.
    free: Option<u64>,
    late_release: Option<u64>,
}

impl Grid {
    pub(in crate::algorithms) fn new(permits: u32, period: u64, max_burst: u32) -> Self {
        Self {
            interval: interval(u64::from(permits), period),
            max_burst: max_burst as usize,
            free: None,
            late_release: None,
        }
    }

    /// The slots that have come and nobody took, oldest first.
    fn come(&self, free: u64, now: u64) -> Vec<u64> {
        let mut slots = Vec::new();
        let mut slot = free;
        while slot <= now {
            slots.push(slot);
            slot += self.interval;
        }
        slots
    }

    /// So many slots are taken from the first on that a call could have which comes now, or from
    /// the next one.
    pub(in crate::algorithms) fn skip(&mut self, now: u64, cost: u64) {
        let free = match self.clone().call(now, 1, false) {
            // Whatever slot a call would take, the one behind it is one interval later.
            Answer::Now => {
                let mut then = self.clone();
                then.call(now, 1, false);
                then.free.unwrap() - self.interval
            }
            _ => self.free.unwrap(),
        };
        self.free = Some(free + cost * self.interval);
    }
}

impl Naive for Grid {
    fn call(&mut self, now: u64, cost: u32, queued: bool) -> Answer {
        if cost == 0 {
            return Answer::Now;
        }
        let length = match self.interval.checked_mul(u64::from(cost)) {
            Some(length) if length <= LONGEST => length,
            _ => return Answer::Never,
        };
        let Some(free) = self.free else {
            assert!(!queued, "nobody stands in line before the first call");
            self.free = Some(now + length);
            return Answer::Now;
        };
        let come = self.come(free, now);
        let Some(first) = come.first() else {
            return Answer::Later(free - now);
        };
        // Of the slots that have come only the youngest are kept.
        let kept = &come[come.len().saturating_sub(self.max_burst)..];
        let catches_up = self.late_release.is_some_and(|release| now < release + self.interval);
        let slot = match queued || catches_up {
            true => kept[0],
            // A pause is not lateness: the call begins a grid of its own.
            false => now,
        };
        if queued && now > *first {
            self.late_release = Some(now);
        }
        self.free = Some(slot + length);
        Answer::Now
    }

    fn new_at(&self) -> u64 {
        let caught_up = self.late_release.map(|release| release + self.interval);
        self.free.max(caught_up).unwrap_or(0)
    }
}
