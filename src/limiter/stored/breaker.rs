//! Leaving a store alone that does not answer.

use crate::nanos::Nanos;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// Closed while the store answers. After several failures in a row it is open for a while: nobody
/// asks. Then one may ask, and what becomes of that ask decides.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    pause: Nanos,
    state: Mutex<State>,
    /// Whether any ask has failed since the last one that was answered. Written under the lock; while all goes
    /// well nobody takes that, which all callers would have to pass one by one.
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// How many asks have failed in a row.
    failed: u32,
    /// Once it is open: when one may ask again.
    open_until: Nanos,
}

impl Breaker {
    /// One that opens after so many failures in a row, for this long.
    pub(super) fn new(failures: u32, pause: Nanos) -> Self {
        Self { failures, pause, state: Mutex::default(), has_failed: AtomicBool::new(false) }
    }

    /// Whether to ask the store. When it is open and its time is over, the first who wants to know
    /// is the one who asks, and has that long to tell.
    pub(super) fn lets_through(&self, now: Nanos) -> bool {
        if !self.has_failed() {
            return true;
        }
        let mut state = self.lock();
        if state.failed < self.failures {
            return true;
        }
        let is_probe = now >= state.open_until;
        if is_probe {
            state.open_until = now + self.pause;
        }
        is_probe
    }

    /// The store has answered.
    pub(super) fn answered(&self) {
        if self.has_failed() {
            let mut state = self.lock();
            state.failed = 0;
            self.has_failed.store(false, Ordering::Relaxed);
        }
    }

    /// The store has not.
    pub(super) fn failed(&self, now: Nanos) {
        let mut state = self.lock();
        self.has_failed.store(true, Ordering::Relaxed);
        state.failed = state.failed.saturating_add(1);
        if state.failed >= self.failures {
            state.open_until = now + self.pause;
        }
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Breaker;
    use crate::nanos::Nanos;

    const PAUSE: u64 = 100;

    fn at(now: u64) -> Nanos {
        Nanos::new(now)
    }

    fn open() -> Breaker {
        let breaker = Breaker::new(2, at(PAUSE));
        breaker.failed(at(1));
        breaker.failed(at(2));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let breaker = Breaker::new(2, at(PAUSE));
        breaker.failed(at(1));
        breaker.answered();
        breaker.failed(at(2));
        assert!(breaker.lets_through(at(3)));
        breaker.failed(at(3));
        assert!(!breaker.lets_through(at(4)));
    }

    #[test]
    fn one_probe_goes_out_when_the_pause_is_over() {
        let breaker = open();
        assert!(!breaker.lets_through(at(2 + PAUSE - 1)));
        assert!(breaker.lets_through(at(2 + PAUSE)));
        assert!(!breaker.lets_through(at(2 + PAUSE)));
        // It was lost: somebody else tries after another pause.
        assert!(breaker.lets_through(at(2 + 2 * PAUSE)));
    }

    #[test]
    fn the_probe_decides() {
        let breaker = open();
        assert!(breaker.lets_through(at(2 + PAUSE)));
        breaker.failed(at(2 + PAUSE));
        assert!(!breaker.lets_through(at(3 + PAUSE)));
        assert!(breaker.lets_through(at(2 + 2 * PAUSE)));
        breaker.answered();
        assert!(breaker.lets_through(at(2 + 2 * PAUSE)));
        assert!(breaker.lets_through(at(2 + 2 * PAUSE)));
    }
}
