//! Callers in a loop.

use crate::harness::{Length, Stat, Table, interleave};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// A decision about the key of this number, which is let through or refused as the row says.
pub type Decision = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is compared.
#[derive(Clone)]
pub struct Row {
    pub name: &'static str,
    /// How many keys there are.
    pub keys: u64,
    /// How many callers ask at the same time.
    pub callers: u64,
    pub decide: Arc<dyn Fn(u64) -> Decision + Send + Sync>,
}

impl Row {
    pub fn new<F>(
        name: &'static str,
        keys: u64,
        callers: u64,
        decide: impl Fn(u64) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name, keys, callers, decide: Arc::new(move |key| Box::pin(decide(key))) }
    }
}

/// Decisions a second, by row and round.
pub fn measure(runtime: &Runtime, rows: &mut [Row], length: Length) -> Vec<Vec<f64>> {
    // Many short rounds: a ratio is of two rows that ran next to each other.
    let rounds = length.pick(25, 1);
    let span = length.pick(Duration::from_millis(200), Duration::from_millis(20));
    println!("{} rows, {rounds} rounds of {span:?} each.\n", rows.len());
    // Everything is connected and warm before it counts.
    interleave(rows, 1, |row| runtime.block_on(load(row, span)));
    interleave(rows, rounds, |row| runtime.block_on(load(row, span)))
}

async fn load(row: &Row, span: Duration) -> f64 {
    let start = Instant::now();
    let end = start + span;
    let callers = (0..row.callers).map(|caller| {
        let (decide, keys) = (Arc::clone(&row.decide), row.keys);
        tokio::spawn(async move {
            let mut key = caller.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut decisions = 0_u64;
            while Instant::now() < end {
                // The low bits of a linear congruence repeat too soon.
                key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                decide((key >> 33) % keys).await;
                decisions += 1;
                if decisions.is_multiple_of(32) {
                    // What is answered from memory never yields by itself.
                    tokio::task::yield_now().await;
                }
            }
            decisions
        })
    });
    let mut decisions = 0;
    for caller in callers.collect::<Vec<_>>() {
        decisions += caller.await.expect("nobody panics");
    }
    decisions as f64 / start.elapsed().as_secs_f64()
}

/// Prints decisions a second.
pub fn print(rows: &[Row], samples: &[Vec<f64>]) {
    let mut table = Table::new(["", "keys", "callers", "thousand decisions a second [p25-p75]"]);
    for (row, samples) in rows.iter().zip(samples) {
        let thousands: Vec<f64> = samples.iter().map(|rate| rate / 1000.0).collect();
        table.row([
            row.name.into(),
            row.keys.to_string(),
            row.callers.to_string(),
            Stat::of(&thousands).show(1),
        ]);
    }
    println!("{table}");
}
