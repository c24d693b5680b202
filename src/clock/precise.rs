//! One thread that wakes tasks closer to their instants than tokio's timer does.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    thread,
    time::{Duration, Instant},
};

/// How long before its instant a task is called: the time by which the system wakes a thread too
/// late (50 us on Linux, the slack of its timers), twice, as the thread wakes a worker of the
/// runtime in turn.
pub(super) const EARLY: Duration = Duration::from_micros(120);

/// How long the thread stays when there is nothing to do.
const IDLE: Duration = Duration::from_secs(10);

static CALLS: Mutex<Calls> =
    Mutex::new(Calls { waiting: BTreeMap::new(), number: 0, is_running: false });

/// Tells the thread of a call that comes before all others.
static SOONER: Condvar = Condvar::new();

struct Calls {
    waiting: BTreeMap<(Instant, u64), Waker>,
    /// How many there were.
    number: u64,
    is_running: bool,
}

/// Wakes a task at an instant, unless dropped before.
#[derive(Debug)]
pub(super) struct Call {
    at: Instant,
    number: u64,
}

impl Call {
    /// Arranges to wake a task. Where the system has no thread to do so, nobody calls.
    pub(super) fn at(at: Instant, waker: &Waker) -> Self {
        let waker = waker.clone();
        let mut calls = calls();
        calls.number += 1;
        let number = calls.number;
        calls.waiting.insert((at, number), waker);
        if !calls.is_running {
            let thread = thread::Builder::new().name("tower-ratelimit".into());
            calls.is_running = thread.spawn(run).is_ok();
        } else if calls.waiting.keys().next() == Some(&(at, number)) {
            SOONER.notify_one();
        }
        Self { at, number }
    }

    /// Calls this task from now on. False when the call has been made already.
    pub(super) fn goes_to(&self, waker: &Waker) -> bool {
        let replaced = match calls().waiting.get_mut(&(self.at, self.number)) {
            None => return false,
            Some(known) if known.will_wake(waker) => None,
            Some(known) => Some(std::mem::replace(known, waker.clone())),
        };
        // Once the lock is let go: it may run anything.
        drop(replaced);
        true
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let cancelled = calls().waiting.remove(&(self.at, self.number));
        // As above.
        drop(cancelled);
    }
}

/// Ends the thread in the books when a waker panics; the next call starts another.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            calls().is_running = false;
        }
    }
}

fn run() {
    let _running = Running;
    let mut calls = self::calls();
    loop {
        let now = Instant::now();
        match calls.waiting.first_entry() {
            Some(first) if first.key().0 <= now => {
                let waker = first.remove();
                drop(calls);
                waker.wake();
                calls = self::calls();
            }
            Some(first) => {
                let left = first.key().0 - now;
                (calls, _) =
                    SOONER.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner);
            }
            None => {
                let waited =
                    SOONER.wait_timeout(calls, IDLE).unwrap_or_else(PoisonError::into_inner);
                calls = waited.0;
                if waited.1.timed_out() && calls.waiting.is_empty() {
                    calls.is_running = false;
                    return;
                }
            }
        }
    }
}

/// Nothing panics while the lock is held.
fn calls() -> MutexGuard<'static, Calls> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}
