//! Whether the machine stood still.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

const NAP: Duration = Duration::from_millis(1);

/// What `work` comes to, and the longest that a processor stood still meanwhile: how late a thread
/// woke that does nothing there but nap.
pub fn watched<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    thread::scope(|scope| {
        let watch = |processor| {
            let (works, still_works) = channel::<()>();
            (works, scope.spawn(move || longest(processor, &still_works)))
        };
        let (work_goes_on, watches): (Vec<_>, Vec<_>) = processors().map(watch).unzip();
        let result = work();
        drop(work_goes_on);
        let longest = watches.into_iter().map(|watch| watch.join().expect("a nap is no trouble"));
        (result, longest.max().unwrap_or_default())
    })
}

/// How late one who naps on this processor wakes, until the sender is gone.
fn longest(processor: usize, still_works: &Receiver<()>) -> Duration {
    let mut there = CpuSet::new();
    there.set(processor);
    sched_setaffinity(None, &there).expect("it is a processor of this process");
    let (mut before, mut longest) = (Instant::now(), Duration::ZERO);
    while still_works.recv_timeout(NAP) == Err(RecvTimeoutError::Timeout) {
        let now = Instant::now();
        longest = longest.max((now - before).saturating_sub(NAP));
        before = now;
    }
    longest
}

/// Those that this process may run on.
fn processors() -> impl Iterator<Item = usize> {
    let ours = sched_getaffinity(None).expect("a process may ask where it runs");
    (0..CpuSet::MAX_CPU).filter(move |processor| ours.is_set(*processor))
}
