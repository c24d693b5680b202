//! Callers in a loop.

use crate::harness::{Length, Stat, Table, interleave};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::coop::consume_budget};

/// How many keys there are where there are many.
pub const MANY: u64 = 1000;

/// How many callers ask at the same time where they do.
pub const CALLERS: u64 = 64;

/// Decisions in a loop until then, and how many there were.
type Loop = Pin<Box<dyn Future<Output = u64> + Send>>;

/// What is compared.
#[derive(Clone)]
pub struct Row {
    pub name: &'static str,
    /// How many keys there are.
    pub keys: u64,
    /// How many callers ask at the same time.
    pub callers: u64,
    /// What the caller of this number does. Not a decision, which would be put in a box each time.
    calls: Arc<dyn Fn(u64, Instant) -> Loop + Send + Sync>,
}

impl Row {
    /// A decision is about the key of a number, and let through or refused as the row says.
    pub fn new<F>(
        name: &'static str,
        keys: u64,
        callers: u64,
        decide: impl Fn(u64) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let decide = Arc::new(decide);
        let calls = move |caller: u64, end| {
            let decide = Arc::clone(&decide);
            let calls = async move {
                let mut key = caller.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut decisions = 0_u64;
                while Instant::now() < end {
                    // The low bits of a linear congruence repeat too soon.
                    key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    decide((key >> 33) % keys).await;
                    decisions += 1;
                    // What is answered from memory never yields by itself.
                    consume_budget().await;
                }
                decisions
            };
            Box::pin(calls) as Loop
        };
        Self { name, keys, callers, calls: Arc::new(calls) }
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
    let callers = (0..row.callers).map(|caller| tokio::spawn((row.calls)(caller, end)));
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
