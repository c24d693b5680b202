//! Oracles: every limit once more, so simple that it is unlikely to be wrong.
//!
//! They are written from what the limits promise, count one by one and find waits by trying.
//! They know whole nanoseconds and nothing of the crate.

mod bucket;
mod pacing;
mod list;
mod heap;
mod windows;

pub(super) use bucket::Bucket;
pub(super) use heap::{Heap, Purse};
pub(super) use list::List;
pub(super) use pacing::{Gap, Grid};
pub(super) use windows::{Counted, Window};

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

/// The first instant of a grid after this one.
fn next_tick(every: u64, first: u64, now: u64) -> u64 {
    let first = first % every;
    if now < first { first } else { first + ((now - first) / every + 1) * every }
}
