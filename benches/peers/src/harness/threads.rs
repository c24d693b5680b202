//! The same work on one thread, or on several at the same time.

use super::at_another_place;
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// How long one thread works: short, as a slice in which something else took the processor is
/// worth nothing.
const ALONE: Duration = Duration::from_millis(1);

/// How long several do, which never begin at exactly the same time.
const TOGETHER: Duration = Duration::from_millis(4);

/// Nanoseconds that an operation takes as a thread sees it, the mean over all threads. Each is told
/// its number and does `batch` operations at a time, for 1 ms if it is alone and for 4 ms otherwise;
/// they begin together, so that they are in each other's way all the time.
pub fn nanoseconds(threads: usize, turn: usize, batch: u32, work: impl Fn(usize) + Sync) -> f64 {
    let span = if threads == 1 { ALONE } else { TOGETHER };
    let start = Barrier::new(threads);
    let run = |thread| at_another_place(turn, || alone(thread, span, batch, &start, &work));
    thread::scope(|scope| {
        let run = &run;
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        let own = run(0);
        let others = others.into_iter().map(|thread| thread.join().expect("no limiter panics"));
        (own + others.sum::<f64>()) / threads as f64
    })
}

fn alone(
    thread: usize,
    span: Duration,
    batch: u32,
    start: &Barrier,
    work: &(impl Fn(usize) + Sync),
) -> f64 {
    start.wait();
    let start = Instant::now();
    let mut operations = 0.0;
    loop {
        work(thread);
        operations += f64::from(batch);
        let elapsed = start.elapsed();
        if elapsed >= span {
            return elapsed.as_secs_f64() * 1e9 / operations;
        }
    }
}
