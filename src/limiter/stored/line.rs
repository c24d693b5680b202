//! Those in this process who wait for calls to end.

use crate::{nanos::Nanos, store::StoreKey};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// How often the store is asked again for permits that are in use, and come back when calls
/// end.
pub(super) const AGAIN: Nanos = Nanos::new(25_000_000);

/// A line for each key whose permits are in use. Only the first asks the store, so that nobody in
/// this process overtakes. Whoever does not ask when it should is passed over: nobody may be
/// polling it. So is an ask that takes longer than a decision may.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<HashMap<StoreKey, VecDeque<Waiter>>>,
    numbers: AtomicU64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    /// When it asks at the latest, if somebody polls it.
    asks_by: Nanos,
    called: Arc<Notify>,
}

/// A place in the line of a key. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Place<'a> {
    lines: &'a Lines,
    key: StoreKey,
    number: u64,
    pub(super) called: Arc<Notify>,
}

impl Lines {
    /// Whether anybody stands in line who has to be waited for.
    pub(super) fn has(&self, key: &StoreKey, now: Nanos) -> bool {
        let is_there = |line: &VecDeque<Waiter>| line.iter().any(|waiter| waiter.asks_by > now);
        self.lock().get(key).is_some_and(is_there)
    }

    /// Gets in line.
    pub(super) fn join(&self, key: &StoreKey, now: Nanos) -> Place<'_> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let called = Arc::new(Notify::new());
        let waiter = Waiter { number, asks_by: now + AGAIN * 2, called: Arc::clone(&called) };
        self.lock().entry(key.clone()).or_default().push_back(waiter);
        Place { lines: self, key: key.clone(), number, called }
    }

    /// A call has ended: the first in line asks again.
    pub(super) fn call(&self, key: &StoreKey) {
        let lines = self.lock();
        let first = lines.get(key).and_then(VecDeque::front);
        let called = first.map(|first| Arc::clone(&first.called));
        drop(lines);
        if let Some(called) = called {
            called.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StoreKey, VecDeque<Waiter>>> {
        // Nothing of anybody else's runs under it.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Whether it is this one's turn to ask; otherwise when to look again.
    ///
    /// # Errors
    ///
    /// When others are before it.
    pub(super) fn look(&self, now: Nanos) -> Result<(), Nanos> {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.key) else { return Ok(()) };
        let mut wait = AGAIN * 2;
        let mut is_turn = true;
        for waiter in line.iter_mut().take_while(|waiter| waiter.number <= self.number) {
            if waiter.number == self.number {
                waiter.asks_by = now + wait;
            } else if waiter.asks_by > now {
                is_turn = false;
                // Whoever stands further behind looks less often.
                wait = wait + AGAIN;
            }
        }
        match is_turn {
            true => Ok(()),
            false => Err(now + wait - AGAIN),
        }
    }

    /// It asks the store now, which answers by then.
    pub(super) fn asks(&self, by: Nanos) {
        self.set(by);
    }

    /// The store has answered, and it will ask again soon.
    pub(super) fn asked(&self, now: Nanos) {
        self.set(now + AGAIN * 2);
    }

    fn set(&self, asks_by: Nanos) {
        let mut lines = self.lines.lock();
        let line = lines.get_mut(&self.key).into_iter().flatten();
        for waiter in line.filter(|waiter| waiter.number == self.number) {
            waiter.asks_by = asks_by;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.key) else { return };
        line.retain(|waiter| waiter.number != self.number);
        if line.is_empty() {
            lines.remove(&self.key);
        }
        drop(lines);
        self.lines.call(&self.key);
    }
}
