//! An inner service that watches how it is treated.

use super::ms;
use std::{
    error, fmt, mem,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio::time::Instant;
use tower::Service;

/// Answers each request with the request.
///
/// It panics when it is called without having been readied. Readied, it has something reserved
/// until it is called or dropped, like a place in a `Buffer`; a clone of it has not.
#[derive(Debug)]
pub(super) struct Probe {
    watch: Watch,
    reserved: Option<Reserved>,
}

/// What a probe and its clones have seen, and how they behave.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    start: Instant,
    gate: Mutex<Gate>,
    polls: AtomicUsize,
    reservations: AtomicUsize,
    reserved: AtomicUsize,
    calls: Mutex<Vec<(u32, Instant)>>,
    failures: AtomicUsize,
    work: Mutex<u64>,
}

#[derive(Debug)]
enum Gate {
    Open,
    Closed(Vec<Waker>),
    Broken,
}

#[derive(Debug)]
struct Reserved(Arc<Seen>);

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.reserved.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The error of a [`Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the probe is broken")
    }
}

impl error::Error for Broken {}

impl Probe {
    pub(super) fn new() -> (Self, Watch) {
        let watch = Watch(Arc::new(Seen {
            start: Instant::now(),
            gate: Mutex::new(Gate::Open),
            polls: AtomicUsize::new(0),
            reservations: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            calls: Mutex::new(Vec::new()),
            failures: AtomicUsize::new(0),
            work: Mutex::new(0),
        }));
        (Self { watch: watch.clone(), reserved: None }, watch)
    }
}

impl Watch {
    /// How often probes were asked whether they are ready.
    pub(super) fn polls(&self) -> usize {
        self.0.polls.load(Ordering::SeqCst)
    }

    /// How many probes have become ready, ever.
    pub(super) fn reservations(&self) -> usize {
        self.0.reservations.load(Ordering::SeqCst)
    }

    /// How many probes are ready now.
    pub(super) fn reserved(&self) -> usize {
        self.0.reserved.load(Ordering::SeqCst)
    }

    /// The requests, in the order in which they arrived.
    pub(super) fn calls(&self) -> Vec<u32> {
        self.0.calls.lock().unwrap().iter().map(|(request, _)| *request).collect()
    }

    /// When they arrived, in milliseconds since the probe was made.
    pub(super) fn called_at(&self) -> Vec<u128> {
        let calls = self.0.calls.lock().unwrap();
        calls.iter().map(|(_, at)| (*at - self.0.start).as_millis()).collect()
    }

    /// Probes are not ready from now on.
    pub(super) fn close(&self) {
        *self.0.gate.lock().unwrap() = Gate::Closed(Vec::new());
    }

    /// Probes are ready from now on.
    pub(super) fn open(&self) {
        let gate = mem::replace(&mut *self.0.gate.lock().unwrap(), Gate::Open);
        if let Gate::Closed(wakers) = gate {
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Probes fail from now on when they are asked whether they are ready.
    pub(super) fn break_down(&self) {
        *self.0.gate.lock().unwrap() = Gate::Broken;
    }

    /// So many calls from now on fail.
    pub(super) fn fail(&self, calls: usize) {
        self.0.failures.store(calls, Ordering::SeqCst);
    }

    /// Calls take so many milliseconds from now on.
    pub(super) fn work_for(&self, milliseconds: u64) {
        *self.0.work.lock().unwrap() = milliseconds;
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Self { watch: self.watch.clone(), reserved: None }
    }
}

impl Service<u32> for Probe {
    type Response = u32;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Broken>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let seen = &self.watch.0;
        seen.polls.fetch_add(1, Ordering::SeqCst);
        match &mut *seen.gate.lock().unwrap() {
            Gate::Broken => return Poll::Ready(Err(Broken)),
            Gate::Closed(wakers) if self.reserved.is_none() => {
                wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            Gate::Closed(_) | Gate::Open => {}
        }
        self.reserved.get_or_insert_with(|| {
            seen.reservations.fetch_add(1, Ordering::SeqCst);
            seen.reserved.fetch_add(1, Ordering::SeqCst);
            Reserved(Arc::clone(seen))
        });
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        let reserved = self.reserved.take();
        drop(reserved.expect("the probe was called without having been readied"));
        let seen = &self.watch.0;
        seen.calls.lock().unwrap().push((request, Instant::now()));
        let one_less = |failures: usize| failures.checked_sub(1);
        let fails =
            seen.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        let work = ms(*seen.work.lock().unwrap());
        Box::pin(async move {
            if !work.is_zero() {
                tokio::time::sleep(work).await;
            }
            match fails {
                true => Err(Broken),
                false => Ok(request),
            }
        })
    }
}
