//! Leaving a store alone that does not answer.

use crate::{nanos::Nanos, store::StoreError};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Closed while the store answers. After several batches in a row that failed it is open for a while:
/// nobody asks. Then one may ask, and what becomes of that ask decides.
///
/// Each shard has its own, so that a server which is away is left alone, and the others are not.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    pause: Nanos,
    /// Those shards whose last batch failed.
    failing: Mutex<BTreeMap<u32, Failing>>,
    /// Whether there are any. Written under the lock; while all goes well nobody takes that, which all
    /// callers would have to pass one by one.
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Failing {
    /// How many batches have failed in a row.
    failed: u32,
    /// Once it is open: when one may ask again.
    open_until: Nanos,
}

impl Breaker {
    /// One that opens after so many failures in a row, for this long.
    pub(super) fn new(failures: u32, pause: Nanos) -> Self {
        Self { failures, pause, failing: Mutex::default(), has_failed: AtomicBool::new(false) }
    }

    /// Whether to ask a shard. When it is open and its time is over, the first who wants to know is
    /// the one who asks, and has that long to tell.
    pub(super) fn lets_through(&self, shard: u32, now: Nanos) -> bool {
        if !self.has_failed() {
            return true;
        }
        let mut failing = self.lock();
        let Some(failing) = failing.get_mut(&shard) else { return true };
        if failing.failed < self.failures {
            return true;
        }
        let is_probe = now >= failing.open_until;
        if is_probe {
            failing.open_until = now + self.pause;
        }
        is_probe
    }

    /// What became of a batch, to be told once however many travelled in it.
    pub(super) fn tell<T>(
        &self,
        shard: u32,
        answered: &Result<T, StoreError>,
        now: impl FnOnce() -> Nanos,
    ) {
        match answered {
            // Where nobody can read a record, the store has answered.
            Err(error) if !error.is_about_a_record() => self.failed(shard, now()),
            _ => self.answered(shard),
        }
    }

    fn answered(&self, shard: u32) {
        if self.has_failed() {
            let mut failing = self.lock();
            failing.remove(&shard);
            self.has_failed.store(!failing.is_empty(), Ordering::Relaxed);
        }
    }

    fn failed(&self, shard: u32, now: Nanos) {
        let mut failing = self.lock();
        self.has_failed.store(true, Ordering::Relaxed);
        let failing = failing.entry(shard).or_default();
        failing.failed = failing.failed.saturating_add(1);
        if failing.failed >= self.failures {
            failing.open_until = now + self.pause;
        }
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Breaker;
    use crate::{
        nanos::Nanos,
        store::{StoreError, Unreadable},
    };

    const PAUSE: u64 = 100;

    fn at(now: u64) -> Nanos {
        Nanos::new(now)
    }

    fn open() -> Breaker {
        let breaker = Breaker::new(2, at(PAUSE));
        breaker.failed(0, at(1));
        breaker.failed(0, at(2));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let breaker = Breaker::new(2, at(PAUSE));
        breaker.failed(0, at(1));
        breaker.answered(0);
        breaker.failed(0, at(2));
        assert!(breaker.lets_through(0, at(3)));
        breaker.failed(0, at(3));
        assert!(!breaker.lets_through(0, at(4)));
    }

    #[test]
    fn one_probe_goes_out_when_the_pause_is_over() {
        let breaker = open();
        assert!(!breaker.lets_through(0, at(2 + PAUSE - 1)));
        assert!(breaker.lets_through(0, at(2 + PAUSE)));
        assert!(!breaker.lets_through(0, at(2 + PAUSE)));
        // It was lost: somebody else tries after another pause.
        assert!(breaker.lets_through(0, at(2 + 2 * PAUSE)));
    }

    #[test]
    fn the_probe_decides() {
        let breaker = open();
        assert!(breaker.lets_through(0, at(2 + PAUSE)));
        breaker.failed(0, at(2 + PAUSE));
        assert!(!breaker.lets_through(0, at(3 + PAUSE)));
        assert!(breaker.lets_through(0, at(2 + 2 * PAUSE)));
        breaker.answered(0);
        assert!(breaker.lets_through(0, at(2 + 2 * PAUSE)));
        assert!(breaker.lets_through(0, at(2 + 2 * PAUSE)));
    }

    #[test]
    fn each_shard_has_its_own() {
        let breaker = open();
        assert!(breaker.lets_through(1, at(3)));
        breaker.failed(1, at(3));
        breaker.answered(1);
        assert!(breaker.lets_through(1, at(3)));
        assert!(!breaker.lets_through(0, at(3)));
    }

    #[test]
    fn a_record_that_cannot_be_read_says_nothing_of_the_store() {
        let breaker = Breaker::new(1, at(PAUSE));
        breaker.tell::<()>(0, &Err(StoreError::new(Unreadable::new("api"))), || at(1));
        assert!(breaker.lets_through(0, at(1)));
        breaker.tell::<()>(0, &Err(StoreError::new("no route to host")), || at(1));
        assert!(!breaker.lets_through(0, at(1)));
        breaker.tell(0, &Ok(()), || at(2));
        assert!(breaker.lets_through(0, at(2)));
    }
}
