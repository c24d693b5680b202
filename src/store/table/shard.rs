//! One lock's worth of a table.

#[cfg(all(test, not(loom)))]
mod tests;

use super::{
    Fingerprint, Keep,
    entries::Entries,
    fingerprint::Identity,
    words::{Keeper, Put, Words},
};
use crate::nanos::Nanos;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, hash_map},
    hash::BuildHasherDefault,
};

/// How many entries an insertion below the cap looks at to find some that can go.
const EVICTIONS: usize = 3;

/// How many blocks of words it looks at.
const BLOCKS: usize = 1;

/// How many entries are looked at without letting others have the lock, where all are to go that can.
const AT_ONCE: usize = 64;

/// And how many blocks of words.
const BLOCKS_AT_ONCE: usize = 16;

/// How long an entry in use is left alone before it is looked at again.
const IN_USE: Nanos = Nanos::new(1_000_000_000);

/// What is under the lock of a shard: its entries, but for those that are a word, which are beside it.
#[derive(Debug)]
pub(super) struct Locked<V, R> {
    pub(super) rules: R,
    keeper: Keeper,
    entries: HashMap<Fingerprint, V, BuildHasherDefault<Identity>>,
    /// When to look whether an entry can go: one appointment for each, never after the instant
    /// at which it can, or soon after it if the entry was in use. Earlier ones are moved when their
    /// time comes, so the one on top says whether any entry can go at all.
    appointments: BinaryHeap<Reverse<(Nanos, Fingerprint)>>,
}

/// A shard whose lock is held.
pub(super) struct Open<'a, V, R> {
    pub(super) locked: &'a mut Locked<V, R>,
    pub(super) words: &'a Words,
    pub(super) counted: &'a Entries,
}

/// What has not had its turn yet while all is to go that can.
///
/// As many turns as there are appointments: at the end of time those that stay are due again at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    blocks: usize,
    appointments: usize,
}

impl Left {
    pub(super) fn is_any(self) -> bool {
        self.blocks > 0 || self.appointments > 0
    }
}

impl<V, R> Locked<V, R> {
    pub(super) fn new(rules: R, keeper: Keeper) -> Self {
        let (entries, appointments) = (HashMap::default(), BinaryHeap::new());
        Self { rules, keeper, entries, appointments }
    }
}

impl<V: Keep<R>, R> Open<'_, V, R> {
    pub(super) fn contains(&mut self, key: Fingerprint) -> bool {
        self.locked.entries.contains_key(&key) || self.hold(key).is_some()
    }

    fn hold(&mut self, key: Fingerprint) -> Option<super::words::Held<'_>> {
        self.words.hold(&mut self.locked.keeper, key.0)
    }

    /// Works on the entry of this key, if there is one.
    pub(super) fn work<T>(
        &mut self,
        key: Fingerprint,
        work: impl FnOnce(&R, &mut V) -> T,
    ) -> Option<T> {
        let Locked { rules, keeper, entries, appointments } = &mut *self.locked;
        if let Some(entry) = entries.get_mut(&key) {
            let result = work(rules, entry);
            if let Some(word) = entry.word() {
                self.settle(key, word);
            }
            return Some(result);
        }
        let held = self.words.hold(keeper, key.0)?;
        let mut entry = V::from_word(held.state());
        let result = work(rules, &mut entry);
        let is_kept = match entry.word() {
            // It equals new, whatever the time.
            Some(Nanos::ZERO) => {
                held.remove();
                self.counted.evicted(1);
                true
            }
            Some(word) => held.release(word),
            None => {
                held.remove();
                false
            }
        };
        if !is_kept {
            entries.insert(key, entry);
            appointments.push(Reverse((Nanos::ZERO, key)));
        }
        Some(result)
    }

    /// Makes a word of an entry that is one again, if there is room.
    fn settle(&mut self, key: Fingerprint, word: Nanos) {
        let Put { evicted, homeless } =
            self.words.put(&mut self.locked.keeper, key.0, word, Nanos::ZERO);
        self.counted.evicted(evicted);
        if !homeless {
            self.locked.entries.remove(&key);
            self.compact();
        }
    }

    /// Puts in an entry that is not there, and has been counted.
    pub(super) fn insert(&mut self, key: Fingerprint, entry: V, due: Nanos, now: Nanos) {
        if let Some(word) = entry.word() {
            let put = self.words.put(&mut self.locked.keeper, key.0, word, now);
            self.counted.evicted(put.evicted);
            if !put.homeless {
                return;
            }
        }
        self.locked.entries.insert(key, entry);
        self.locked.appointments.push(Reverse((due, key)));
    }

    /// Forgets the entry of this key if it equals a new one, ahead of its appointment.
    pub(super) fn forget(&mut self, key: Fingerprint, now: Nanos) {
        let Locked { rules, keeper, entries, .. } = &mut *self.locked;
        if let hash_map::Entry::Occupied(entry) = entries.entry(key) {
            if entry.get().new_at(rules).is_some_and(|at| has_come(at, now)) {
                entry.remove();
                self.counted.evicted(1);
                self.compact();
            }
        } else if let Some(held) = self.words.hold(keeper, key.0)
            && held.state() <= now
        {
            held.remove();
            self.counted.evicted(1);
        }
    }

    /// Works on all entries, whether they are words or not.
    pub(super) fn work_on_all(&mut self, mut work: impl FnMut(&R, &mut V)) {
        let mut words = Vec::new();
        self.words.each(&mut self.locked.keeper, |key, _| words.push(Fingerprint(key)));
        self.work_on_entries(&mut work);
        for key in words {
            self.work(key, &mut work);
        }
        // Any of them may equal new sooner than before.
        let Locked { entries, appointments, .. } = &mut *self.locked;
        *appointments = entries.keys().map(|key| Reverse((Nanos::ZERO, *key))).collect();
    }

    /// Works on all entries that are not a word.
    pub(super) fn work_on_entries(&mut self, mut work: impl FnMut(&R, &mut V)) {
        let Locked { rules, entries, .. } = &mut *self.locked;
        entries.values_mut().for_each(|entry| work(rules, entry));
    }

    /// Looks at all entries.
    pub(super) fn each(&mut self, mut look: impl FnMut(Fingerprint, &R, &V)) {
        let Locked { rules, keeper, entries, .. } = &mut *self.locked;
        entries.iter().for_each(|(key, entry)| look(*key, rules, entry));
        self.words.each(keeper, |key, state| look(Fingerprint(key), rules, &V::from_word(state)));
    }

    /// Drops a few entries that equal new, if there are some.
    pub(super) fn evict_some(&mut self, now: Nanos) {
        let swept = self.words.sweep(&mut self.locked.keeper, now, BLOCKS);
        let evicted = self.locked.evict(now, EVICTIONS);
        self.counted.evicted(swept + evicted);
    }

    /// Drops those that equal new of the entries whose turn is next, and says how many those were: it looks at few,
    /// so that nobody waits for the lock for long. Nothing is `left` at the beginning of a round.
    pub(super) fn evict_next(&mut self, left: &mut Option<Left>, now: Nanos) -> usize {
        let Locked { keeper, appointments, .. } = &mut *self.locked;
        let left = left.get_or_insert_with(|| Left {
            blocks: keeper.blocks(),
            appointments: appointments.len(),
        });
        let swept = self.words.sweep(keeper, now, left.blocks.min(BLOCKS_AT_ONCE));
        let evicted = self.locked.evict(now, left.appointments.min(AT_ONCE));
        self.counted.evicted(swept + evicted);
        *left = Left {
            blocks: left.blocks.saturating_sub(BLOCKS_AT_ONCE),
            appointments: left.appointments.saturating_sub(AT_ONCE),
        };
        if !self.locked.keeper.is_any_due(now) {
            left.blocks = 0;
        }
        if !self.locked.is_any_due(now) {
            left.appointments = 0;
        }
        swept + evicted
    }

    /// Drops the appointments of entries that are gone, once they are the most.
    fn compact(&mut self) {
        let Locked { entries, appointments, .. } = &mut *self.locked;
        if appointments.len() > 2 * entries.len() + EVICTIONS {
            let mut seen = HashMap::<_, (), BuildHasherDefault<Identity>>::default();
            appointments.retain(|Reverse((_, key))| {
                entries.contains_key(key) && seen.insert(*key, ()).is_none()
            });
        }
    }
}

impl<V: Keep<R>, R> Locked<V, R> {
    fn is_any_due(&self, now: Nanos) -> bool {
        self.appointments.peek().is_some_and(|Reverse((due, _))| *due <= now)
    }

    /// Looks at up to `most` entries whose time has come, and drops those that equal new.
    fn evict(&mut self, now: Nanos, most: usize) -> usize {
        let before = self.entries.len();
        for _ in 0..most {
            let Some(&Reverse((due, key))) = self.appointments.peek() else {
                break;
            };
            if due > now {
                break;
            }
            self.appointments.pop();
            let Some(entry) = self.entries.get(&key) else {
                continue;
            };
            match entry.new_at(&self.rules) {
                Some(at) if has_come(at, now) => {
                    self.entries.remove(&key);
                }
                Some(later) => self.appointments.push(Reverse((later, key))),
                None => self.appointments.push(Reverse((now + IN_USE, key))),
            }
        }
        before - self.entries.len()
    }
}

/// Whether an entry equals a new one that does so from `at` on. One that never will does not at the end
/// of time, either.
fn has_come(at: Nanos, now: Nanos) -> bool {
    at <= now && at < Nanos::MAX
}
