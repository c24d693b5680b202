//! What a long log costs a `SlidingWindow`, with calls of several costs.

use crate::harness::{Bound, Length, Random, Stat, Table, interleave, over};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tower_ratelimit::{ManualClock, Rate, RateLimiter, SlidingWindow};

const SHORT: u32 = 10;
const LONG: u32 = 10_000;

const PERIOD: Duration = Duration::from_secs(1);

/// They cost 3 in the mean.
const COSTS: [u32; 7] = [1, 1, 2, 2, 3, 4, 8];

struct Row {
    limit: u32,
    /// The other figure of each round.
    p99: Vec<f64>,
}

pub fn run(length: Length) -> Vec<Bound> {
    println!("## memory window\n");
    println!(
        "Nanoseconds of a decision of `SlidingWindow` with costs of {COSTS:?}, a sixth of which is \
         refused; the time that it takes to read the clock is taken off:\n"
    );
    let mut rows = [SHORT, LONG].map(|limit| Row { limit, p99: Vec::new() });
    let medians = interleave(&mut rows, length.pick(9, 1), |row| {
        let [median, p99] = nanoseconds(row.limit, length.pick(200_000, 20_000));
        row.p99.push(p99);
        median
    });
    let mut table = Table::new(["limit", "median [p25-p75]", "p99"]);
    for (row, medians) in rows.iter().zip(&medians) {
        table.row([row.limit.to_string(), Stat::of(medians).show(1), Stat::of(&row.p99).show(1)]);
    }
    println!("{table}");
    let bound = |what: &str, long: &[f64], short: &[f64]| {
        let name = format!("memory window: {what} with a limit of {LONG}, over one of {SHORT}");
        Bound::new(name, &over(long, short), 0.0..=3.0)
    };
    vec![bound("median", &medians[1], &medians[0]), bound("p99", &rows[1].p99, &rows[0].p99)]
}

/// The median and the 99th percentile of so many decisions, when the window has been full for long.
fn nanoseconds(limit: u32, decisions: u32) -> [f64; 2] {
    let clock = ManualClock::new();
    let window = SlidingWindow::new(Rate::new(limit, PERIOD).expect("a rate that can be set"));
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    let mut random = Random::new();
    // A fifth more is asked for than there is, at instants that differ.
    let step = PERIOD.as_nanos() as u64 * 3 / u64::from(limit) * 5 / 6;
    let mut decide = || {
        clock.advance(Duration::from_nanos(step / 2 + u64::from(random.below(step as u32))));
        let cost = COSTS[random.below(COSTS.len() as u32) as usize];
        timed(|| limiter.try_acquire_many(cost).is_ok())
    };
    for _ in 0..2 * limit {
        decide();
    }
    let mut times: Vec<f64> = (0..decisions).map(|_| decide()).collect();
    let mut nothing: Vec<f64> = (0..decisions).map(|_| timed(|| true)).collect();
    let clock = at(&mut nothing, 0.5);
    [0.5, 0.99].map(|share| at(&mut times, share) - clock)
}

/// Nanoseconds, with those of reading the clock.
fn timed(work: impl FnOnce() -> bool) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos() as f64
}

/// About that which this share of them are not above: the mean of those around it, up to half way to
/// the slowest, as the clock ticks in steps that are not much smaller than the times.
fn at(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let half = (1.0 - share) / 2.0;
    let index = |share: f64| (times.len() as f64 * share) as usize;
    let around = &times[index(share - half)..index(share + half)];
    around.iter().sum::<f64>() / around.len() as f64
}
