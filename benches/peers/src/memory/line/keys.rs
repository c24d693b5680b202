//! Many lines, each with a few who wait.

use super::{
    crowd::{Crowd, crowd},
    floors::SlotAndSleep,
};
use crate::{
    harness::{Length, Stat, Table, interleave},
    waiting::Wait,
};
use governor::{DefaultKeyedRateLimiter, Quota};
use std::{iter, sync::Arc, time::Duration};
use tokio::runtime::Builder;
use tower_ratelimit::{KeyedRateLimiter, LeakyBucket, Rate};

/// One has nothing to wait for; the last one waits for three intervals.
const TASKS_A_KEY: u32 = 4;

/// Longer than it takes to spawn all tasks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lets the tasks wait for so many keys.
type Run = fn(&tokio::runtime::Runtime, usize) -> Crowd;

const ROWS: [(&str, Run); 3] = [
    ("floor: take a slot and sleep", |runtime, keys| {
        runtime.block_on(async { lines(SlotAndSleep::many(keys, INTERVAL)).await })
    }),
    ("ours, LeakyBucket", |runtime, keys| {
        let rate = Rate::new(1, INTERVAL).expect("the interval is not zero");
        let bucket = LeakyBucket::new(rate).capacity(1).expect("there is room for one");
        let limiter = KeyedRateLimiter::builder(bucket).max_keys(2 * keys);
        let limiter = limiter.expect("there are keys").build();
        runtime.block_on(lines((0..keys).map(|key| limiter.key(&key))))
    }),
    ("governor", |runtime, keys| {
        let quota = Quota::with_period(INTERVAL).expect("the interval is not zero");
        let limiter = Arc::new(governor::RateLimiter::keyed(quota));
        let of = |key| OfGovernor { limiter: Arc::clone(&limiter), key };
        runtime.block_on(lines((0..keys).map(of)))
    }),
];

#[derive(Clone)]
struct OfGovernor {
    limiter: Arc<DefaultKeyedRateLimiter<usize>>,
    key: usize,
}

impl Wait for OfGovernor {
    async fn wait(&mut self) {
        self.limiter.until_key_ready(&self.key).await;
    }
}

/// Prints what they cost.
pub fn print(length: Length) {
    let keys = length.pick(100_000, 100);
    println!("{keys} keys with {TASKS_A_KEY} tasks each, one in {INTERVAL:?}, on two threads:\n");
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_time();
    let mut rows = ROWS.map(|(name, run)| (name, run, Vec::new()));
    let walls = interleave(&mut rows, length.pick(5, 1), |(_, run, processor)| {
        let runtime = builder.build().expect("the system has threads and timers");
        let crowd = run(&runtime, keys);
        processor.push(crowd.processor);
        crowd.wall_over_ideal
    });
    let mut table = Table::new(["limiter", "wall over ideal [p25-p75]", "processor, us a task"]);
    for ((name, _, processor), walls) in rows.iter().zip(&walls) {
        table.row([(*name).into(), Stat::of(walls).show(3), Stat::of(processor).show(2)]);
    }
    println!("{table}");
}

async fn lines<W: Wait + Clone>(keys: impl Iterator<Item = W>) -> Crowd {
    let tasks = keys.flat_map(|key| iter::repeat_n(key, TASKS_A_KEY as usize)).collect();
    crowd(tasks, (INTERVAL * (TASKS_A_KEY - 1)).as_secs_f64()).await
}
