//! Rows of one store next to each other.

use super::{
    load::{self, CALLERS, MANY, Row},
    ours::{IN_MEMORY, OURS, REFUSED, REMEMBERED, UNBATCHED},
};
use crate::harness::{Bound, Length, over};
use tokio::runtime::Runtime;

/// The rows of a store, and what they came to in each round.
pub struct SideBySide {
    store: &'static str,
    rows: Vec<Row>,
    samples: Vec<Vec<f64>>,
}

impl SideBySide {
    /// Measures the rows and prints them.
    pub fn measure(
        store: &'static str,
        runtime: &Runtime,
        mut rows: Vec<Row>,
        length: Length,
    ) -> Self {
        println!("## stores: {store}\n");
        let samples = load::measure(runtime, &mut rows, length);
        load::print(&rows, &samples);
        Self { store, rows, samples }
    }

    /// What every store promises: about a caller alone, and about refusals.
    pub fn bounds(&self) -> [Bound; 3] {
        [
            self.bound([OURS, UNBATCHED], MANY, 1, 0.85),
            self.bound([REFUSED, OURS], MANY, CALLERS, 0.95),
            self.bound([REMEMBERED, IN_MEMORY], MANY, CALLERS, 1.0 / 3.0),
        ]
    }

    /// The promise that one row makes at least so many times the decisions of another one, by as
    /// many callers about as many keys.
    pub fn bound(&self, [row, other]: [&str; 2], keys: u64, callers: u64, least: f64) -> Bound {
        let store = self.store;
        let name = format!("stores: {store}, {row} over {other}, {keys} keys, {callers} callers");
        let rates = |name: &str| {
            let is_it = |row: &Row| (row.name, row.keys, row.callers) == (name, keys, callers);
            &self.samples[self.rows.iter().position(is_it).expect("there is this row")]
        };
        Bound::new(name, &over(rates(row), rates(other)), least..=f64::INFINITY)
    }
}
