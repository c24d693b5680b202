//! Tokens that arrive, and those that do not.

use super::{Answer, Naive, next_tick};

/// A heap of tokens, and the instant at which some are thrown onto it.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct Heap {
    pub(in crate::algorithms) capacity: u64,
    pub(in crate::algorithms) amount: u64,
    pub(in crate::algorithms) every: u64,
    pub(in crate::algorithms) initial: u64,
    pub(in crate::algorithms) aligned: Option<u64>,
    /// The tokens and the next instant; there are none before the first call.
    pub(in crate::algorithms) heap: Option<(u64, u64)>,
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

/// What is left for good.
#[derive(Clone, Debug)]
pub(in crate::algorithms) struct Purse {
    pub(in crate::algorithms) all: u32,
    pub(in crate::algorithms) left: u32,
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
