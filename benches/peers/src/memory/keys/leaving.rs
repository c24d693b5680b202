//! The slowest decisions while a million stale keys leave.

use crate::harness::{Bound, Length, Stat, Table, interleave, over};
use governor::{
    Quota,
    clock::{Clock, FakeRelativeClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};
use std::{
    num::NonZero,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};
use tower_ratelimit::{KeyedRateLimiter, LeakyBucket, ManualClock, Rate};

/// After this long without a call a key equals a new one.
const STALE: Duration = Duration::from_secs(1);

/// More than are ever used.
const BURST: u32 = 1_000_000;

/// How many keys are asked about all the time.
const HOT: u64 = 1000;

/// How often all keys leave at once.
const TIMES: u32 = 5;

/// A limit for each key, on a clock that is set.
trait Limits: Sync {
    fn ask(&self, key: u64) -> bool;

    fn advance(&self, by: Duration);

    /// Lets all stale keys go.
    fn evict(&self);
}

struct Ours(KeyedRateLimiter<LeakyBucket>, ManualClock);

impl Limits for Ours {
    fn ask(&self, key: u64) -> bool {
        self.0.try_acquire(&key).is_ok()
    }

    fn advance(&self, by: Duration) {
        self.1.advance(by);
    }

    fn evict(&self) {
        self.0.evict();
    }
}

fn ours(keys: usize) -> Box<dyn Limits> {
    let rate = Rate::new(BURST, STALE).expect("a rate that can be set");
    let bucket = LeakyBucket::new(rate).capacity(BURST).expect("there is a burst");
    let clock = ManualClock::new();
    let builder = KeyedRateLimiter::builder(bucket).clock(clock.clone());
    Box::new(Ours(builder.max_keys(keys).expect("there is room").build(), clock))
}

type Store = DashMapStateStore<u64, ahash::RandomState>;

type Middleware = NoOpMiddleware<<FakeRelativeClock as Clock>::Instant>;

struct Governor(
    governor::RateLimiter<u64, Store, FakeRelativeClock, Middleware>,
    FakeRelativeClock,
);

impl Limits for Governor {
    fn ask(&self, key: u64) -> bool {
        self.0.check_key(&key).is_ok()
    }

    fn advance(&self, by: Duration) {
        self.1.advance(by);
    }

    fn evict(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

fn governor(_: usize) -> Box<dyn Limits> {
    let burst = NonZero::new(BURST).expect("there is a burst");
    let quota = Quota::with_period(STALE / BURST).expect("a period").allow_burst(burst);
    let (clock, hasher) = (FakeRelativeClock::default(), ahash::RandomState::new());
    let limiter =
        governor::RateLimiter::dashmap_with_clock_and_hasher(quota, clock.clone(), hasher);
    Box::new(Governor(limiter, clock))
}

/// How stale keys leave.
#[derive(Clone, Copy)]
enum Way {
    /// As new keys come, one with every other decision.
    InPassing,
    /// All, by a call on another thread.
    AtOnce,
}

struct Row {
    name: &'static str,
    make: fn(usize) -> Box<dyn Limits>,
    way: Way,
    is_stale: bool,
    slowest: f64,
}

/// Prints the latencies and returns the bounds of ours.
pub fn run(length: Length) -> Vec<Bound> {
    let keys = length.pick(1_000_000, 10_000);
    let row = |name, make, way, is_stale| Row { name, make, way, is_stale, slowest: 0.0 };
    let pair = |name, make, way| [false, true].map(|is_stale| row(name, make, way, is_stale));
    let mut rows: Vec<Row> = [
        pair("ours, in passing", ours, Way::InPassing),
        pair("ours, `evict` on another thread", ours, Way::AtOnce),
        pair("governor, ahash, `retain_recent` on another thread", governor, Way::AtOnce),
    ]
    .into_iter()
    .flatten()
    .collect();
    let samples = interleave(&mut rows, length.pick(7, 1), |row| row.visit(keys));
    println!(
        "Microseconds of a decision with a million keys, of which none are stale or all leave:\n"
    );
    let mut table = Table::new(["", "none, p99.99 [p25-p75]", "all", "slowest", "ratio"]);
    for (rows, samples) in rows.chunks(2).zip(samples.chunks(2)) {
        let [none, all] = [&samples[0], &samples[1]].map(|samples| Stat::of(samples).show(2));
        let ratio = Stat::of(&over(&samples[1], &samples[0])).show(2);
        table.row([rows[0].name.into(), none, all, format!("{:.0}", rows[1].slowest), ratio]);
    }
    println!("{table}");
    let bound = |index: usize| {
        let row = rows[2 * index].name;
        let name = format!("memory keys: p99.99 while a million keys leave, {row}");
        Bound::new(name, &over(&samples[2 * index + 1], &samples[2 * index]), 0.0..=2.0)
    };
    vec![bound(0), bound(1)]
}

impl Row {
    /// Microseconds, the 99.99th percentile.
    fn visit(&mut self, keys: u64) -> f64 {
        let limits = (self.make)(4 * keys as usize);
        let mut latencies = match self.way {
            Way::InPassing => self.leave(&*limits, keys, in_passing),
            // It is over soon, and few decisions are among the slowest.
            Way::AtOnce => (0..TIMES).flat_map(|_| self.leave(&*limits, keys, at_once)).collect(),
        };
        latencies.sort_by(f64::total_cmp);
        self.slowest = latencies.last().copied().unwrap_or_default().max(self.slowest);
        latencies[(latencies.len() - 1) * 9999 / 10_000]
    }

    /// The latencies while all keys leave, or none.
    fn leave(
        &self,
        limits: &dyn Limits,
        keys: u64,
        way: fn(&dyn Limits, u64) -> Vec<f64>,
    ) -> Vec<f64> {
        for key in 0..keys {
            assert!(limits.ask(key), "{} lets every key through", self.name);
        }
        if self.is_stale {
            limits.advance(2 * STALE);
        }
        way(limits, keys)
    }
}

/// As many new keys come as there were, so that all of those may leave.
fn in_passing(limits: &dyn Limits, keys: u64) -> Vec<f64> {
    let hot = |decision: u64| keys + decision % HOT;
    let new = |decision: u64| keys + HOT + decision;
    let decisions = (0..keys).flat_map(|decision| [hot(decision), new(decision)]);
    decisions.map(|key| latency(limits, key)).collect()
}

/// As many decisions as fit into the time, and a fifth of the keys at the least.
fn at_once(limits: &dyn Limits, keys: u64) -> Vec<f64> {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            limits.evict();
            is_done.store(true, Relaxed);
        });
        let mut latencies = Vec::with_capacity(keys as usize);
        while !is_done.load(Relaxed) || latencies.len() < keys as usize / 5 {
            latencies.push(latency(limits, keys + latencies.len() as u64 % HOT));
        }
        latencies
    })
}

/// Microseconds.
fn latency(limits: &dyn Limits, key: u64) -> f64 {
    let start = Instant::now();
    let is_let_through = limits.ask(key);
    let latency = start.elapsed().as_secs_f64() * 1e6;
    assert!(is_let_through, "nobody asks for more than there is");
    latency
}
