//! Atomics and locks that models run on: the standard library's, or those of loom.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering, fence},
};

/// So many zeros, if there is memory for them, which as a rule the system makes as somebody writes there.
#[cfg(not(loom))]
pub(crate) fn zeros(count: usize) -> Option<Box<[AtomicU64]>> {
    bytemuck::allocation::try_zeroed_slice_box(count).ok()
}
#[cfg(loom)]
pub(crate) fn zeros(count: usize) -> Option<Box<[AtomicU64]>> {
    Some((0..count).map(|_| AtomicU64::new(0)).collect())
}

/// Runs a model with all the switches between threads that this many interruptions allow. Three are
/// done at once with two threads, and not in minutes with three.
#[cfg(all(test, loom))]
pub(crate) fn model(interruptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(interruptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// The waker of a model's task: whether that was woken since it was last asked.
#[cfg(all(test, loom))]
#[derive(Default)]
pub(crate) struct Signal(loom::sync::atomic::AtomicBool);

#[cfg(all(test, loom))]
impl Signal {
    pub(crate) fn is_woken(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

#[cfg(all(test, loom))]
impl std::task::Wake for Signal {
    fn wake(self: std::sync::Arc<Self>) {
        // A store would do, but loom would take it for one that may have come before the last question.
        self.0.swap(true, Ordering::AcqRel);
    }
}
