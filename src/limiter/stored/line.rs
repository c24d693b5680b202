//! Those in this process who ask the store again and again, as it does not say when their turn
//! comes.

use crate::{
    clock::{Clock, before},
    nanos::Nanos,
    store::{Order, StoreKey},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// How often the store is asked again for permits that are in use, and come back when calls
/// end.
pub(super) const AGAIN: Nanos = Nanos::new(25_000_000);

/// Where calls stand in line: at a key of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    pub(super) limit: Arc<str>,
    pub(super) key: StoreKey,
}

impl Lane {
    /// The one that an order is about.
    pub(super) fn of<A>(order: &Order<A>) -> Self {
        Self { limit: Arc::clone(&order.limit.name), key: order.key.clone() }
    }
}

/// A line for each lane whose permits somebody waits for. Only the first asks the store, so that
/// nobody in this process overtakes. Whoever does not ask when it should is passed over: nobody may
/// be polling it. So is an ask that takes longer than a decision may.
///
/// Whoever stands in several lines asks when it is the first in all of them. Those in front have
/// come earlier everywhere, so that nobody waits for each other in a circle.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<HashMap<Lane, VecDeque<Waiter>>>,
    /// Whether there is any, for those who need not look further. Written under the lock.
    is_any: AtomicBool,
    numbers: AtomicU64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    /// When it asks at the latest, if somebody polls it.
    asks_by: Nanos,
    called: Arc<Notify>,
}

/// A place in one or several lines. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Place<'a> {
    lines: &'a Lines,
    lanes: Vec<Lane>,
    number: u64,
    pub(super) called: Arc<Notify>,
}

impl Lines {
    /// Whether anybody stands in this line who has to be waited for.
    pub(super) fn has(&self, lane: impl FnOnce() -> Lane, now: Nanos) -> bool {
        // There is nothing to look for as long as nobody waits.
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let lane = lane();
        let is_there = |line: &VecDeque<Waiter>| line.iter().any(|waiter| waiter.asks_by > now);
        self.lock().get(&lane).is_some_and(is_there)
    }

    /// Gets in line.
    pub(super) fn join(&self, lane: Lane, now: Nanos) -> Place<'_> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let called = Arc::new(Notify::new());
        let mut place = Place { lines: self, lanes: Vec::new(), number, called };
        place.join(lane, now);
        place
    }

    /// Permits came back: the first in line asks again.
    pub(super) fn call(&self, lane: &Lane) {
        let lines = self.lock();
        let first = lines.get(lane).and_then(VecDeque::front);
        let called = first.map(|first| Arc::clone(&first.called));
        drop(lines);
        if let Some(called) = called {
            called.notify_one();
        }
    }

    /// All who stand there are sent away, and hold up nobody until they have gone.
    pub(super) fn clear(&self, lane: &Lane) {
        let mut lines = self.lock();
        lines.remove(lane);
        self.is_any.store(!lines.is_empty(), Ordering::Relaxed);
    }

    /// Another arithmetic holds: the first in the lines of a limit ask again.
    pub(super) fn call_all(&self, limit: &Arc<str>) {
        let lines = self.lock();
        let lanes = lines.iter().filter(|(lane, _)| lane.limit == *limit);
        let firsts = lanes.filter_map(|(_, line)| Some(Arc::clone(&line.front()?.called)));
        let firsts: Vec<_> = firsts.collect();
        drop(lines);
        firsts.iter().for_each(|called| called.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, VecDeque<Waiter>>> {
        // Nothing of anybody else's runs under it.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Gets in one more line, before those who came later than this one did.
    pub(super) fn join(&mut self, lane: Lane, now: Nanos) {
        if self.lanes.contains(&lane) {
            return;
        }
        let (number, called) = (self.number, Arc::clone(&self.called));
        let waiter = Waiter { number, asks_by: now + AGAIN * 2, called };
        let mut lines = self.lines.lock();
        let line = lines.entry(lane.clone()).or_default();
        let index = line.partition_point(|other| other.number < number);
        line.insert(index, waiter);
        self.lines.is_any.store(true, Ordering::Relaxed);
        drop(lines);
        self.lanes.push(lane);
    }

    /// Waits until it is this one's turn to ask.
    pub(super) async fn turn(&self, clock: &Clock) {
        while let Err(again) = self.look(clock.now()) {
            let _ = before(clock, again, self.called.notified()).await;
        }
    }

    /// Whether it is this one's turn to ask; otherwise when to look again.
    ///
    /// # Errors
    ///
    /// When others are before it.
    fn look(&self, now: Nanos) -> Result<(), Nanos> {
        let mut lines = self.lines.lock();
        let is_before = |waiter: &&Waiter| waiter.number < self.number && waiter.asks_by > now;
        let before = |lane| lines.get(lane).map_or(0, |line| line.iter().filter(is_before).count());
        // Whoever stands further behind looks less often.
        let before = self.lanes.iter().map(before).max().unwrap_or(0);
        let wait = AGAIN * u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        self.set(&mut lines, now + wait + AGAIN);
        match before {
            0 => Ok(()),
            _ => Err(now + wait),
        }
    }

    /// It asks the store now, which answers by then.
    pub(super) fn asks(&self, by: Nanos) {
        self.set(&mut self.lines.lock(), by);
    }

    /// The store has answered, and it will ask again at this instant or soon after.
    pub(super) fn asks_again(&self, at: Nanos) {
        self.set(&mut self.lines.lock(), at + AGAIN * 2);
    }

    fn set(&self, lines: &mut HashMap<Lane, VecDeque<Waiter>>, asks_by: Nanos) {
        for lane in &self.lanes {
            let line = lines.get_mut(lane).into_iter().flatten();
            for waiter in line.filter(|waiter| waiter.number == self.number) {
                waiter.asks_by = asks_by;
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let mut next = Vec::new();
        for lane in &self.lanes {
            let Some(line) = lines.get_mut(lane) else { continue };
            let was_first = line.front().is_some_and(|first| first.number == self.number);
            line.retain(|waiter| waiter.number != self.number);
            match line.front() {
                // For whoever stands in front all is as it was when somebody behind leaves.
                Some(first) => next.extend(was_first.then(|| Arc::clone(&first.called))),
                None => drop(lines.remove(lane)),
            }
        }
        self.lines.is_any.store(!lines.is_empty(), Ordering::Relaxed);
        drop(lines);
        next.iter().for_each(|called| called.notify_one());
    }
}
