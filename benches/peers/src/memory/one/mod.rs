//! One limit, asked for one permit without waiting.

mod floors;
pub mod instructions;
mod limited;
mod peers;
mod rows;
mod times;

pub use floors::{Time, coarse, quanta, take};
pub use peers::trypema_local;

use crate::harness::{Bound, Length, Limit, over};
use rows::{GOVERNOR, GOVERNOR_REMAINING, OURS, OURS_COARSE, rows};

pub fn run(length: Length) -> Vec<Bound> {
    let rows = rows();
    println!("## memory one\n");
    let times = times::measure(&rows, length);
    times.print();
    let ample = |name: &str| times.of(name, Limit::Ample, 1);
    let gone = |threads: usize| times.of(OURS, Limit::Gone, threads);
    let counted = instructions::measure(&rows, length);
    let ratio = counted.of(OURS, Limit::Ample) / counted.of(GOVERNOR_REMAINING, Limit::Ample);
    vec![
        Bound::new(
            format!("memory one: {OURS}, admitted, over {GOVERNOR}"),
            &over(ample(OURS), ample(GOVERNOR)),
            0.0..=1.05,
        ),
        Bound::exact(
            format!("memory one: {OURS}, admitted, instructions over {GOVERNOR_REMAINING}"),
            ratio,
            0.0..=1.0,
        ),
        Bound::new(
            format!("memory one: {OURS_COARSE}, admitted, over {GOVERNOR}"),
            &over(ample(OURS_COARSE), ample(GOVERNOR)),
            0.0..=0.65,
        ),
        Bound::new(
            format!("memory one: {OURS}, refused, two threads over one"),
            &over(gone(2), gone(1)),
            0.0..=1.1,
        ),
    ]
}
