//! What is compared.

use super::{
    crowd::{Crowd, crowd},
    floors::SlotAndSleep,
    order::overtaking,
};
use crate::waiting::{self, Wait};
use std::{pin::Pin, time::Duration};
use tokio::runtime::Builder;
use tower_ratelimit::{BurstCompensating, LeakyBucket, Rate, RateLimiter};

pub const OURS: &str = "ours, LeakyBucket";

pub const A_SECOND: u32 = 50_000;

/// What comes in 20 ms: as late as the timer may be without a loss. What passes at once is not
/// counted as time saved.
const CAPACITY: u32 = 1000;

type Run<R> = Box<dyn Fn(u32) -> Pin<Box<dyn Future<Output = R>>>>;

/// One limit, and what became of the crowds before it.
pub struct Row {
    pub name: &'static str,
    /// Lets so many tasks wait for a limit that is made for them.
    crowd: Run<Crowd>,
    /// The same without tasks, to see whether they are let go in order.
    overtaking: Run<usize>,
    crowds: Vec<Crowd>,
}

impl Row {
    /// A limit of which so many have nothing to wait for.
    fn new<W: Wait + Clone>(name: &'static str, at_once: u32, make: fn() -> W) -> Self {
        let overtaking: Run<usize> = Box::new(move |calls| {
            Box::pin(async move { overtaking(vec![make(); calls as usize]).await })
        });
        let crowd: Run<Crowd> = Box::new(move |tasks| {
            Box::pin(async move {
                let ideal = f64::from(tasks.saturating_sub(at_once).max(1)) / f64::from(A_SECOND);
                crowd(vec![make(); tasks as usize], ideal).await
            })
        });
        Self { name, crowd, overtaking, crowds: Vec::new() }
    }

    /// On a runtime of their own, so that nothing is left over from those before.
    pub fn visit(&mut self, runtime: &mut Builder, tasks: u32) {
        let runtime = runtime.build().expect("the system has threads and timers");
        self.crowds.push(runtime.block_on((self.crowd)(tasks)));
    }

    /// How many of so many calls were let go while one before them had to wait.
    pub fn overtaking(&self, runtime: &mut Builder, calls: u32) -> usize {
        let runtime = runtime.build().expect("the system has threads and timers");
        runtime.block_on((self.overtaking)(calls))
    }

    /// The last crowd.
    pub fn seen(&self) -> &Crowd {
        self.crowds.last().expect("there was one")
    }

    /// Something about all crowds, in order.
    pub fn all(&self, what: impl Fn(&Crowd) -> f64) -> Vec<f64> {
        self.crowds.iter().map(what).collect()
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row::new("floor: take a slot and sleep", 1, || {
            let interval = Duration::from_secs(1) / A_SECOND;
            SlotAndSleep::many(1, interval).next().expect("there is one")
        }),
        Row::new(OURS, CAPACITY, || {
            let bucket = LeakyBucket::new(rate()).capacity(CAPACITY);
            RateLimiter::new(bucket.expect("a capacity that can be set"))
        }),
        Row::new("ours, BurstCompensating", 1, || {
            let paced = BurstCompensating::new(rate()).max_burst(CAPACITY);
            RateLimiter::new(paced.expect("a burst that can be set"))
        }),
        Row::new("governor", 1, || waiting::governor(A_SECOND, 1)),
        Row::new("governor, 20 ms at once", CAPACITY, || waiting::governor(A_SECOND, CAPACITY)),
        Row::new("leaky-bucket", 1, || waiting::leaky_bucket(A_SECOND, 1)),
        Row::new("leaky-bucket, 20 ms at most", 1, || waiting::leaky_bucket(A_SECOND, 20)),
        Row::new("async-rate-limiter", 1, || waiting::async_rate_limiter(A_SECOND)),
        Row::new("tokio-rate-limit", 1, || waiting::tokio_rate_limit(A_SECOND)),
        Row::new("tower RateLimit + Buffer", 1, || waiting::tower_and_buffer(A_SECOND)),
    ]
}

fn rate() -> Rate {
    Rate::per_second(A_SECOND).expect("a rate that can be set")
}
