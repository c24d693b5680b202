//! Oracles: every limit once more, so simple that it is unlikely to be wrong.
//!
//! They are written from what the limits promise, count one by one and find waits by trying.
//! They know whole nanoseconds and nothing of the crate.

/// 250 years: what takes longer can never be had.
const LONGEST: u64 = 250 * 365 * 24 * 3600 * 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Now,
    Later(u64),
    Never,
}

pub(super) trait Naive: Clone {
    /// A call, and whether it stood in line until now.
    fn call(&mut self, now: u64, cost: u32, queued: bool) -> Answer;

    /// The first instant at which the limit is as if never used.
    fn new_at(&self) -> u64;

    /// How many permits can be had now of a limit that has this many: by trying.
    fn remaining(&self, now: u64, limit: u32) -> u32 {
        let fits = |cost: &u32| self.clone().call(now, *cost, false) == Answer::Now;
        (1..=limit).rev().find(fits).unwrap_or(0)
    }
}

/// The time one permit takes, never too short.
fn interval(permits: u64, period: u64) -> u64 {
    let interval = period / permits;
    match interval * permits < period {
        true => interval + 1,
        false => interval,
    }
}

/// A level, and a drain that takes one from it at each instant of a grid. The grid begins with
/// the call that finds the bucket empty.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    capacity: u64,
    interval: u64,
    level: u64,
    next_drain: u64,
}

impl Bucket {
    pub(super) fn new(permits: u32, period: u64, capacity: u32) -> Self {
        Self {
            capacity: u64::from(capacity),
            interval: interval(u64::from(permits), period),
            level: 0,
            next_drain: 0,
        }
    }

    fn drain(&mut self, now: u64) {
        while self.level > 0 && self.next_drain <= now {
            self.level -= 1;
            self.next_drain += self.interval;
        }
    }

    fn fill(&mut self, now: u64, cost: u64) -> bool {
        self.drain(now);
        if self.level + cost > self.capacity {
            return false;
        }
        if self.level == 0 {
            self.next_drain = now + self.interval;
        }
        self.level += cost;
        true
    }

    /// Above the capacity, too.
    pub(super) fn overfill(&mut self, now: u64, cost: u64) {
        self.drain(now);
        if self.level == 0 {
            self.next_drain = now + self.interval;
        }
        self.level += cost;
    }
}

impl Naive for Bucket {
    fn call(&mut self, now: u64, cost: u32, _: bool) -> Answer {
        let cost = u64::from(cost);
        if cost > self.capacity {
            return Answer::Never;
        }
        if cost == 0 || self.fill(now, cost) {
            return Answer::Now;
        }
        let mut then = self.clone();
        loop {
            let drained = then.next_drain;
            if then.fill(drained, cost) {
                return Answer::Later(drained - now);
            }
        }
    }

    fn new_at(&self) -> u64 {
        let mut then = self.clone();
        let mut last = 0;
        while then.level > 0 {
            last = then.next_drain;
            then.drain(last);
        }
        last
    }
}

/// The last release, and how long the next call keeps away from it.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    interval: u64,
    last: Option<(u64, u64)>,
}

impl Gap {
    pub(super) fn new(permits: u32, period: u64) -> Self {
        Self { interval: interval(u64::from(permits), period), last: None }
    }

    /// The next call keeps so many intervals further away.
    pub(super) fn widen(&mut self, now: u64, cost: u64) {
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
pub(super) struct Grid {
    interval: u64,
    max_burst: usize,
    /// The first slot that nobody took; there is no grid before the first call.
    free: Option<u64>,
    late_release: Option<u64>,
}

impl Grid {
    pub(super) fn new(permits: u32, period: u64, max_burst: u32) -> Self {
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
    pub(super) fn skip(&mut self, now: u64, cost: u64) {
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

/// All calls there ever were.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// Permits and period.
    rates: Vec<(u64, u64)>,
    /// Instant and cost.
    pub(super) calls: Vec<(u64, u64)>,
}

impl List {
    pub(super) fn new(rates: impl IntoIterator<Item = (u32, u64)>) -> Self {
        let rates = rates.into_iter();
        Self {
            rates: rates.map(|(permits, period)| (u64::from(permits), period)).collect(),
            calls: Vec::new(),
        }
    }

    /// The permits that this rate has left at this instant: those of the fullest window that
    /// holds the instant. The fullest ones begin with a call.
    pub(super) fn left(&self, rate: usize, now: u64) -> u64 {
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
    pub(super) fn failing(&self, now: u64, cost: u64) -> Option<usize> {
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
