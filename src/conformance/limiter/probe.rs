//! An inner service that watches how it is treated.

use std::{
    error, fmt,
    future::{Ready, ready},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};
use tower_service::Service;

/// The inner service of a [kit](super::Limits::layer): it answers each request with the request, and
/// watches how it is treated.
///
/// Readied, it has something reserved until it is called or dropped, like a place in a `Buffer`; a
/// clone of it has not.
#[derive(Debug)]
pub struct Probe {
    watch: Watch,
    reserved: Option<Reserved>,
}

/// The error of a [`Probe`] that was told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeFailed(());

impl fmt::Display for ProbeFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the probe was told to fail")
    }
}

impl error::Error for ProbeFailed {}

/// What a probe and its clones have seen, and how they behave.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    gate: Gate,
    reserved: u32,
    calls: Vec<u32>,
    /// Whether it was called without having been readied.
    called_unready: bool,
    /// How many of the next calls fail.
    failures: u32,
}

#[derive(Debug, Default)]
enum Gate {
    #[default]
    Open,
    Closed(Vec<Waker>),
    Broken,
}

#[derive(Debug)]
struct Reserved(Watch);

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.seen().reserved -= 1;
    }
}

impl Watch {
    pub(super) fn probe(&self) -> Probe {
        Probe { watch: self.clone(), reserved: None }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many probes are ready now.
    pub(super) fn reserved(&self) -> u32 {
        self.seen().reserved
    }

    /// The requests, in the order in which they arrived.
    pub(super) fn calls(&self) -> Vec<u32> {
        self.seen().calls.clone()
    }

    pub(super) fn was_called_unready(&self) -> bool {
        self.seen().called_unready
    }

    /// Probes are not ready from now on.
    pub(super) fn close(&self) {
        self.seen().gate = Gate::Closed(Vec::new());
    }

    /// Probes are ready from now on.
    pub(super) fn open(&self) {
        let gate = mem::take(&mut self.seen().gate);
        if let Gate::Closed(wakers) = gate {
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Probes fail from now on when they are asked whether they are ready.
    pub(super) fn break_down(&self) {
        self.seen().gate = Gate::Broken;
    }

    /// So many calls from now on fail.
    pub(super) fn fail(&self, calls: u32) {
        self.seen().failures = calls;
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        self.watch.probe()
    }
}

impl Service<u32> for Probe {
    type Response = u32;
    type Error = ProbeFailed;
    type Future = Ready<Result<u32, ProbeFailed>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProbeFailed>> {
        let mut seen = self.watch.seen();
        match &mut seen.gate {
            Gate::Broken => return Poll::Ready(Err(ProbeFailed(()))),
            Gate::Closed(wakers) if self.reserved.is_none() => {
                wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            Gate::Closed(_) | Gate::Open => {}
        }
        if self.reserved.is_none() {
            seen.reserved += 1;
            self.reserved = Some(Reserved(self.watch.clone()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        let is_ready = self.reserved.take().is_some();
        let mut seen = self.watch.seen();
        seen.called_unready |= !is_ready;
        seen.calls.push(request);
        match seen.failures.checked_sub(1) {
            Some(left) => {
                seen.failures = left;
                ready(Err(ProbeFailed(())))
            }
            None => ready(Ok(request)),
        }
    }
}
