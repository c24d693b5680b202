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
    Exhausted,
    Never,
}

pub(super) trait Naive: Clone {
    /// A call, and whether it stood in line until now.
    fn call(&mut self, now: u64, cost: u32, queued: bool) -> Answer;

    /// The first instant at which the limit is as if never used.
    fn new_at(&self) -> u64;

    /// The first instant at which all permits can be had; mostly the limit is as if never used then.
    fn full_at(&self, _: u64) -> u64 {
        self.new_at()
    }

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

/// The first instant of a grid after this one.
fn next_tick(every: u64, first: u64, now: u64) -> u64 {
    let first = first % every;
    if now < first { first } else { first + ((now - first) / every + 1) * every }
}

/// A heap of tokens, and the instant at which some are thrown onto it.
#[derive(Clone, Debug)]
pub(super) struct Heap {
    pub(super) capacity: u64,
    pub(super) amount: u64,
    pub(super) every: u64,
    pub(super) initial: u64,
    pub(super) aligned: Option<u64>,
    /// The tokens and the next instant; there are none before the first call.
    pub(super) heap: Option<(u64, u64)>,
}

impl Heap {
    fn tick_after(&self, now: u64) -> u64 {
        self.aligned.map_or(now + self.every, |first| next_tick(self.every, first, now))
    }

    /// What the heap is at this instant.
    fn at(&self, now: u64) -> (u64, u64) {
        let Some((mut tokens, mut next)) = self.heap else {
            return (self.initial, self.tick_after(now));
        };
        while tokens < self.capacity && next <= now {
            tokens = self.capacity.min(tokens + self.amount);
            next += self.every;
        }
        // Full, it has no grid.
        if tokens == self.capacity { (tokens, self.tick_after(now)) } else { (tokens, next) }
    }
}

impl Naive for Heap {
    fn call(&mut self, now: u64, cost: u32, _: bool) -> Answer {
        let cost = u64::from(cost);
        if cost > self.capacity {
            return Answer::Never;
        }
        if cost == 0 {
            return Answer::Now;
        }
        let (tokens, next) = self.at(now);
        if cost <= tokens {
            self.heap = Some((tokens - cost, next));
            return Answer::Now;
        }
        // The first call begins it, even if it is refused.
        self.heap.get_or_insert((tokens, next));
        let then = (0..).map(|ticks| next + ticks * self.every);
        Answer::Later(then.into_iter().find(|then| self.at(*then).0 >= cost).unwrap() - now)
    }

    fn new_at(&self) -> u64 {
        match self.heap {
            None => 0,
            Some(_) if self.initial < self.capacity => u64::MAX,
            Some(_) => self.full_at(0),
        }
    }

    fn full_at(&self, now: u64) -> u64 {
        let (mut tokens, mut next) = self.heap.unwrap_or((self.initial, self.tick_after(now)));
        let mut full_at = 0;
        while tokens < self.capacity {
            tokens += self.amount;
            full_at = next;
            next += self.every;
        }
        full_at
    }
}

/// The permits taken in a window, and when that ends.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) permits: u64,
    pub(super) period: u64,
    pub(super) aligned: Option<u64>,
    pub(super) used: u64,
    pub(super) end: u64,
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
pub(super) struct Counted {
    pub(super) permits: u64,
    pub(super) period: u64,
    /// Instant and cost.
    pub(super) calls: Vec<(u64, u64)>,
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
    pub(super) fn exact(&self, now: u64) -> u64 {
        let inside = self.calls.iter().filter(|(at, _)| now - at < self.period);
        inside.map(|(_, cost)| cost).sum()
    }

    /// The permits of the window before, and how much of this one is over.
    pub(super) fn before(&self, now: u64) -> (u64, u64) {
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

/// What is left for good.
#[derive(Clone, Debug)]
pub(super) struct Purse {
    pub(super) all: u32,
    pub(super) left: u32,
}

impl Naive for Purse {
    fn call(&mut self, _: u64, cost: u32, _: bool) -> Answer {
        if cost > self.all {
            return Answer::Never;
        }
        match self.left.checked_sub(cost) {
            None => Answer::Exhausted,
            Some(left) => {
                self.left = left;
                Answer::Now
            }
        }
    }

    fn new_at(&self) -> u64 {
        if self.left < self.all { u64::MAX } else { 0 }
    }
}
