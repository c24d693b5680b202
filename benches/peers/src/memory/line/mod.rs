//! Many who wait for their turn.

mod crowd;
mod floors;
mod keys;
mod order;
mod rows;

use crate::harness::{Bound, Length, Stat, Table, interleave, over};
use crowd::Crowd;
use rows::{A_SECOND, OURS, Row, rows};
use tokio::runtime::Builder;

/// Where the rows are that are compared with others.
const FLOOR: usize = 0;

pub fn run(length: Length) -> Vec<Bound> {
    println!("## memory line\n");
    let mut bounds = on_two_threads(length);
    bounds.push(on_one_thread(length));
    keys::print(length);
    bounds
}

/// What a crowd costs, and how long it takes.
fn on_two_threads(length: Length) -> Vec<Bound> {
    let tasks = length.pick(100_000, 5_000);
    let mut rows = rows();
    println!("{tasks} tasks at {A_SECOND} a second, on two threads:\n");
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_time();
    let walls = interleave(&mut rows, length.pick(5, 1), |row| {
        row.visit(&mut builder, tasks);
        row.seen().wall_over_ideal
    });
    // Rounds of the processor differ by a fifth, with how the threads happen to meet.
    let ours = place(&rows, OURS);
    interleave(&mut rows[..=ours], length.pick(10, 0), |row| {
        row.visit(&mut builder, tasks);
        row.seen().wall_over_ideal
    });
    let ratios = |row: usize| over(&rows[row].all(processor), &rows[FLOOR].all(processor));
    let mut table = Table::new([
        "limiter",
        "wall over ideal [p25-p75]",
        "processor, us a task",
        "over the floor",
        "after a later one",
    ]);
    for (index, (row, walls)) in rows.iter().zip(&walls).enumerate() {
        let disorder = Stat::of(&row.all(|crowd| crowd.overtaken as f64)).median;
        table.row([
            row.name.into(),
            Stat::of(walls).show(3),
            Stat::of(&row.all(processor)).show(2),
            Stat::of(&ratios(index)).show(2),
            format!("{:.1} %", 100.0 * disorder / f64::from(tasks)),
        ]);
    }
    println!("{table}");
    vec![
        Bound::new(format!("memory line: {OURS}, wall over ideal"), &walls[ours], 0.0..=1.02),
        Bound::new(
            format!("memory line: {OURS}, processor time a task over that of {}", rows[FLOOR].name),
            &ratios(ours),
            0.0..=1.3,
        ),
    ]
}

/// Whether those who asked first go first, where nothing else makes them go in another order.
fn on_one_thread(length: Length) -> Bound {
    let calls = length.pick(100_000, 5_000);
    let mut rows = rows();
    println!("{calls} calls at {A_SECOND} a second, on one thread:\n");
    let mut builder = Builder::new_current_thread();
    builder.enable_time();
    let overtaking = interleave(&mut rows, length.pick(5, 1), |row| {
        row.visit(&mut builder, calls);
        row.overtaking(&mut builder, calls) as f64
    });
    let mut table = Table::new([
        "limiter",
        "calls let go before an earlier one [p25-p75]",
        "tasks that run after a later one",
    ]);
    for (row, overtaking) in rows.iter().zip(&overtaking) {
        let overtaken = Stat::of(&row.all(|crowd| crowd.overtaken as f64));
        table.row([row.name.into(), Stat::of(overtaking).show(0), overtaken.show(0)]);
    }
    println!("{table}");
    let worst = overtaking[place(&rows, OURS)].iter().copied().fold(0.0, f64::max);
    let name = format!("memory line: {OURS}, calls let go before an earlier one, on one thread");
    Bound::exact(name, worst, 0.0..=0.0)
}

fn processor(crowd: &Crowd) -> f64 {
    crowd.processor
}

fn place(rows: &[Row], name: &str) -> usize {
    rows.iter().position(|row| row.name == name).expect("there is this row")
}
