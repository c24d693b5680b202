//! Leaving a store alone that does not answer.

use crate::{
    events,
    meters::{BreakerMeter, OpenBreaker},
    nanos::Nanos,
    store::StoreError,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
    meter: BreakerMeter,
    /// Nothing where it is of several.
    limit: Option<Arc<str>>,
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
    open: Option<OpenBreaker>,
}

impl Breaker {
    /// One that opens after so many failures in a row, for this long.
    pub(super) fn new(
        failures: u32,
        pause: Nanos,
        meter: BreakerMeter,
        limit: Option<Arc<str>>,
    ) -> Self {
        let (failing, has_failed) = (Mutex::default(), AtomicBool::new(false));
        Self { failures, pause, meter, limit, failing, has_failed }
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
            Err(error) if !error.is_about_a_record() => {
                if self.failed(shard, now()) {
                    events::left_alone(self.limit.as_deref(), error);
                }
            }
            _ => {
                if self.answered(shard) {
                    events::answers_again(self.limit.as_deref());
                }
            }
        }
    }

    /// Whether that closes it.
    fn answered(&self, shard: u32) -> bool {
        if !self.has_failed() {
            return false;
        }
        let mut failing = self.lock();
        let was_failing = failing.remove(&shard);
        self.has_failed.store(!failing.is_empty(), Ordering::Relaxed);
        was_failing.is_some_and(|failing| failing.open.is_some())
    }

    /// Whether that opens it.
    fn failed(&self, shard: u32, now: Nanos) -> bool {
        let mut failing = self.lock();
        self.has_failed.store(true, Ordering::Relaxed);
        let failing = failing.entry(shard).or_default();
        failing.failed = failing.failed.saturating_add(1);
        if failing.failed < self.failures {
            return false;
        }
        failing.open_until = now + self.pause;
        let opens = failing.open.is_none();
        failing.open.get_or_insert_with(|| self.meter.opened());
        opens
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
        meters::StoreMeters,
        nanos::Nanos,
        store::{StoreError, Unreadable},
    };

    const PAUSE: u64 = 100;

    fn at(now: u64) -> Nanos {
        Nanos::new(now)
    }

    fn closed(failures: u32) -> Breaker {
        Breaker::new(failures, at(PAUSE), StoreMeters::new(None, "refuse").breaker(), None)
    }

    fn open() -> Breaker {
        let breaker = closed(2);
        breaker.failed(0, at(1));
        breaker.failed(0, at(2));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let breaker = closed(2);
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
        let breaker = closed(1);
        breaker.tell::<()>(0, &Err(StoreError::new(Unreadable::new("api"))), || at(1));
        assert!(breaker.lets_through(0, at(1)));
        breaker.tell::<()>(0, &Err(StoreError::new("no route to host")), || at(1));
        assert!(!breaker.lets_through(0, at(1)));
        breaker.tell(0, &Ok(()), || at(2));
        assert!(breaker.lets_through(0, at(2)));
    }
}
