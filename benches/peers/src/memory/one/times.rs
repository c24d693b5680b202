//! How long a decision takes, alone and while another thread asks the same limit.

use super::{limited::Limited, rows::Row};
use crate::harness::{Length, Limit, Stat, Table, sliced, threads};
use std::sync::Arc;

/// How many slices of a round are for each row.
const SLICES: usize = 20;

/// Decisions between two looks at the clock.
const BATCH: u32 = 256;

/// A limit, by how many threads it is asked, and what for.
const COLUMNS: [(Limit, usize); 4] =
    [(Limit::Ample, 1), (Limit::Ample, 2), (Limit::Gone, 1), (Limit::Gone, 2)];

struct Cell {
    name: &'static str,
    limit: Limit,
    threads: usize,
    asked: Arc<dyn Limited>,
    turn: usize,
}

impl Cell {
    fn slice(&mut self) -> f64 {
        self.turn += 1;
        threads::nanoseconds(self.threads, self.turn, BATCH, |_| {
            self.asked.ask_in_a_row(BATCH);
        })
    }
}

/// Nanoseconds, by row and column and round.
pub struct Times {
    cells: Vec<Cell>,
    samples: Vec<Vec<f64>>,
}

pub fn measure(rows: &[Row], length: Length) -> Times {
    let (rounds, slices) = (length.pick(15, 1), length.pick(SLICES, 1));
    println!(
        "Nanoseconds of a decision about one permit, as a thread sees it: {} rows, {rounds} rounds \
         of {slices} slices of 1 ms, or of 4 ms with two threads, each.\n",
        rows.len(),
    );
    let mut cells: Vec<Cell> = rows.iter().flat_map(|row| cells(*row)).collect();
    let samples = sliced(&mut cells, rounds, slices, Cell::slice);
    Times { cells, samples }
}

fn cells(row: Row) -> Vec<Cell> {
    let [ample, gone]: [Arc<dyn Limited>; 2] =
        [Limit::Ample, Limit::Gone].map(|limit| Arc::from(row.make(limit)));
    let cell = |(limit, threads)| {
        let asked = Arc::clone(if limit == Limit::Ample { &ample } else { &gone });
        Cell { name: row.name, limit, threads, asked, turn: 0 }
    };
    COLUMNS.map(cell).into()
}

impl Times {
    /// Those of this row and column, by round.
    pub fn of(&self, name: &str, limit: Limit, threads: usize) -> &[f64] {
        let is_it = |cell: &Cell| (cell.name, cell.limit, cell.threads) == (name, limit, threads);
        &self.samples[self.cells.iter().position(is_it).expect("there is this row")]
    }

    pub fn print(&self) {
        let mut table = Table::new([
            "limiter",
            "admitted, ns [p25-p75]",
            "two threads",
            "refused",
            "two threads",
        ]);
        for (cells, samples) in self.cells.chunks(4).zip(self.samples.chunks(4)) {
            let column = |index: usize| Stat::of(&samples[index]).show(1);
            table.row([cells[0].name.into(), column(0), column(1), column(2), column(3)]);
        }
        println!("{table}");
    }
}
