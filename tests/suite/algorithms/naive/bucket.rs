//! A bucket that leaks.

use super::{Answer, Naive, interval};

/// A level, and a drain that takes one from it at each instant of a grid. The grid begins with
/// the call that finds the bucket empty.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct Bucket {
    capacity: u64,
    interval: u64,
    level: u64,
    next_drain: u64,
}

impl Bucket {
    pub(in crate::algorithms) fn new(permits: u32, period: u64, capacity: u32) -> Self {
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
    pub(in crate::algorithms) fn overfill(&mut self, now: u64, cost: u64) {
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
