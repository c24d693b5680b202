//! Those who wait to ask a store.

use super::group::{Decided, Group};
use crate::{
    algorithm::Algorithm,
    store::{Store, StoreError},
};
use std::mem;
use tokio::sync::oneshot;

/// From how many on groups are many. A script call in Redis takes as long by itself as to answer about ten
/// keys, and as long again on the way.
const MANY: usize = 16;

/// Those who wait to ask one shard.
///
/// While a batch of many is under way another one leaves only if it asks about many keys, so that the
/// store has enough to do with it. Whoever asks for a hot key is answered soonest by one batch of all,
/// as that takes hardly longer than one of half of them.
pub(super) struct Queue<A: Algorithm, S: Store<A>> {
    waiting: Vec<Queued<A, S>>,
    /// How many keys they ask about, or more: one that comes twice, not in a row, counts twice.
    keys: usize,
    drivers: usize,
    /// How many groups were in the last batches of all drivers.
    under_way: usize,
    /// Whether a caller is on its own way.
    pub(super) is_led: bool,
}

/// What a caller is told.
pub(super) type Reply<A, S> = Result<Decided<A, S>, StoreError>;

/// A group on its way, and who wants to know what becomes of it.
pub(super) struct Queued<A: Algorithm, S: Store<A>> {
    pub(super) group: Group<A>,
    pub(super) caller: Option<oneshot::Sender<Reply<A, S>>>,
}

impl<A: Algorithm, S: Store<A>> Default for Queue<A, S> {
    fn default() -> Self {
        Self { waiting: Vec::new(), keys: 0, drivers: 0, under_way: 0, is_led: false }
    }
}

impl<A: Algorithm, S: Store<A>> Queue<A, S> {
    /// Gets in the queue. Whether that needs one more driver.
    pub(super) fn join(&mut self, queued: Queued<A, S>, most_drivers: usize) -> bool {
        let Group { first, others } = &queued.group;
        let last = self.waiting.last().map(|last| &last.group.first.key);
        self.keys += usize::from(last != Some(&first.key)) + others.len();
        self.waiting.push(queued);
        let needs_driver = self.drivers < most_drivers && (self.drivers == 0 || self.is_worth_it());
        self.drivers += usize::from(needs_driver);
        needs_driver
    }

    /// The next batch of a driver, or the end of it: whoever comes after it needs another one. The last
    /// one had so many groups.
    pub(super) fn next(&mut self, last: usize, most: usize) -> Option<Vec<Queued<A, S>>> {
        self.under_way -= last;
        if self.waiting.is_empty() || self.drivers > 1 && !self.is_worth_it() {
            self.drivers -= 1;
            return None;
        }
        let most = most.min(self.waiting.len());
        let batch: Vec<_> = self.waiting.drain(..most).collect();
        self.keys = self.waiting.len();
        self.under_way += batch.len();
        Some(batch)
    }

    /// How many drivers empty it.
    pub(super) fn drivers(&self) -> usize {
        self.drivers
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A driver is dropped with its runtime, whose last batch had so many groups. Those that it leaves to
    /// nobody.
    pub(super) fn lose_driver(&mut self, last: usize) -> Vec<Queued<A, S>> {
        self.under_way -= last;
        self.drivers -= 1;
        match self.drivers {
            0 => {
                self.keys = 0;
                mem::take(&mut self.waiting)
            }
            _ => Vec::new(),
        }
    }

    /// Whether those who wait are a batch of their own, and do not wait for the next of another driver.
    fn is_worth_it(&self) -> bool {
        self.under_way < MANY || self.keys >= MANY
    }
}
