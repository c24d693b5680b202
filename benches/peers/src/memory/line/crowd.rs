//! Tasks that all ask at the same time, once.

use crate::{clocks::processor_time, waiting::Wait};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Instant,
};

/// What became of them.
pub struct Crowd {
    /// How long it took until the last one had its turn, over what it should take.
    pub wall_over_ideal: f64,
    /// Microseconds of processor time a task.
    pub processor: f64,
    /// How many ran right after one that had asked later.
    pub overtaken: usize,
}

/// Lets each handle wait once in a task of its own, while `ideal` seconds should go by.
pub async fn crowd<W: Wait>(handles: Vec<W>, ideal: f64) -> Crowd {
    let tasks = handles.len();
    let asked = Arc::new(AtomicU32::new(0));
    let (start, processor) = (Instant::now(), processor_time());
    // Noting the order takes two additions; it is looked at when nothing is measured any more.
    let ran = Arc::new(AtomicU32::new(0));
    let spawn = |mut handle: W| {
        let (asked, ran) = (Arc::clone(&asked), Arc::clone(&ran));
        tokio::spawn(async move {
            let ticket = asked.fetch_add(1, Relaxed);
            handle.wait().await;
            (ran.fetch_add(1, Relaxed), ticket)
        })
    };
    let waiting: Vec<_> = handles.into_iter().map(spawn).collect();
    let mut order = Vec::with_capacity(tasks);
    for task in waiting {
        order.push(task.await.expect("nobody panics"));
    }
    let wall = start.elapsed().as_secs_f64();
    let processor = processor_time() - processor;
    order.sort_unstable();
    Crowd {
        wall_over_ideal: wall / ideal,
        processor: processor.as_secs_f64() * 1e6 / tasks as f64,
        overtaken: order.windows(2).filter(|pair| pair[0].1 > pair[1].1).count(),
    }
}
