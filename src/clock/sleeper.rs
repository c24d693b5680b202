//! Letting a thread sleep until its time has come, or somebody wakes it.

use super::{Clock, Source, Wakes};
use crate::nanos::Nanos;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// No platform sleeps for centuries; whoever has to looks again each day.
const LONGEST_SLEEP: Duration = Duration::from_secs(86_400);

/// How long before its instant a thread stops sleeping and starts to yield, with a precise clock:
/// more than the 50 us by which Linux wakes it too late.
const EARLY: Duration = Duration::from_micros(80);

/// The thread that made it, as a task.
pub(crate) struct Sleeper {
    signal: Arc<Signal>,
    waker: Waker,
}

/// Remembers that the thread was woken. The thread's own token would not do: whatever parks in
/// between uses it up.
struct Signal {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Sleeper {
    pub(crate) fn new() -> Self {
        let is_woken = AtomicBool::new(false);
        let signal = Arc::new(Signal { thread: thread::current(), is_woken });
        let waker = Waker::from(Arc::clone(&signal));
        Self { signal, waker }
    }

    /// Wakes the thread.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Returns when the clock shows `at`, or when the thread was woken since the last time, or a
    /// little earlier or later: the caller looks at the clock again.
    pub(crate) fn sleep_until(&self, clock: &Clock, at: Nanos) {
        match &clock.source {
            Source::Shifted(shifted) => self.sleep_until(shifted.clock(), shifted.behind(at)),
            Source::Manual(source) => {
                if source.poll_until(at, &mut Context::from_waker(&self.waker)).is_pending() {
                    while !self.is_woken() {
                        thread::park();
                    }
                }
            }
            Source::Custom(source) => {
                if let Some(left) = source.left(at) {
                    self.sleep(Instant::now() + left, Wakes::Ticking);
                }
            }
            Source::Monotonic { wakes, .. } => self.sleep_on(clock, at, *wakes),
            Source::Quanta(_) | Source::Coarse(_) => self.sleep_on(clock, at, Wakes::Ticking),
        }
    }

    /// Sleeps as long as is left by a clock that goes as fast as the thread's timer.
    fn sleep_on(&self, clock: &Clock, at: Nanos, wakes: Wakes) {
        let left = Duration::from(at - clock.now()).min(LONGEST_SLEEP);
        self.sleep(Instant::now() + left, wakes);
    }

    fn sleep(&self, end: Instant, wakes: Wakes) {
        while !self.is_woken() {
            match end.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return,
                left if wakes == Wakes::Ticking => thread::park_timeout(left),
                left if left > EARLY => thread::park_timeout(left - EARLY),
                _ => thread::yield_now(),
            }
        }
    }

    fn is_woken(&self) -> bool {
        self.signal.is_woken.swap(false, Ordering::Acquire)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper").finish_non_exhaustive()
    }
}
