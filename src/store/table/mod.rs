//! States of many keys in this process: bounded, sharded, evicting exactly.

mod entries;
mod fingerprint;
mod names;
mod words;

pub(crate) use fingerprint::{Fingerprint, Identity, Seed};
pub use names::KeptKey;

use self::{entries::Entries, names::Names};
use crate::{key::Key, meters::KeyMeter, nanos::Nanos};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, hash_map},
    hash::BuildHasherDefault,
    sync::{Mutex, MutexGuard, PoisonError},
};

const SHARDS: usize = 16;

/// How many entries an insertion below the cap looks at to find some that can go.
const EVICTIONS: usize = 3;

/// How long an entry in use is left alone before it is looked at again.
const IN_USE: Nanos = Nanos::new(1_000_000_000);

/// The table is full, and all its entries are in use.
#[derive(Debug)]
pub(crate) struct Full;

/// A table of at most `capacity` entries, in shards so that keys rarely wait for each other. All
/// entries go by the same rules, of which each shard has its copy under its own lock.
#[derive(Debug)]
pub(crate) struct Table<V, R> {
    seed: Seed,
    shards: [Mutex<Shard<V, R>>; SHARDS],
    entries: Entries,
    /// The keys themselves, where they are to be listed.
    names: Option<Names>,
}

/// One lock's worth of the table.
#[derive(Debug)]
struct Shard<V, R> {
    rules: R,
    entries: HashMap<Fingerprint, V, BuildHasherDefault<Identity>>,
    /// When to look whether an entry can go: one appointment for each, never after the instant
    /// at which it can. Earlier ones are moved when their time comes, so the one on top says
    /// whether any entry can go at all.
    appointments: BinaryHeap<Reverse<(Nanos, Fingerprint)>>,
}

impl<V, R: Clone> Table<V, R> {
    pub(crate) fn new(seed: Seed, capacity: usize, rules: &R, meter: KeyMeter) -> Self {
        Self {
            seed,
            names: None,
            shards: std::array::from_fn(|_| Mutex::new(Shard::new(rules.clone()))),
            entries: Entries::new(capacity, meter),
        }
    }

    #[inline]
    pub(crate) fn fingerprint(&self, key: &(impl Key + ?Sized)) -> Fingerprint {
        let fingerprint = Fingerprint::of(&self.seed, key);
        if let Some(names) = &self.names {
            names.note(fingerprint, key, self.len(), |key| self.contains(key));
        }
        fingerprint
    }

    /// Remembers from now on which keys those are that ask.
    pub(crate) fn keep_names(&mut self) {
        self.names = Some(Names::default());
    }

    /// The keys that are kept, if they are remembered.
    pub(crate) fn names(&self) -> Option<Vec<KeptKey>> {
        Some(self.names.as_ref()?.kept(|key| self.contains(key)))
    }

    fn contains(&self, key: Fingerprint) -> bool {
        self.shard(key).entries.contains_key(&key)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.count()
    }

    /// Forgets the entry of this key if it equals a new one, ahead of its appointment.
    pub(crate) fn forget(&self, key: Fingerprint, equals_new: impl FnOnce(&R, &V) -> bool) {
        let mut shard = self.shard(key);
        let Shard { rules, entries, .. } = &mut *shard;
        if entries.get(&key).is_some_and(|entry| equals_new(rules, entry)) {
            shard.entries.remove(&key);
            self.entries.evicted(1);
            shard.compact();
        }
    }

    /// Works on the entry of this key, if there is one.
    #[inline]
    pub(crate) fn existing<T>(
        &self,
        key: Fingerprint,
        work: impl FnOnce(&R, &mut V) -> T,
    ) -> Option<T> {
        let Shard { rules, entries, .. } = &mut *self.shard(key);
        entries.get_mut(&key).map(|entry| work(rules, entry))
    }

    /// Works on all entries, shard by shard, and on the rules first.
    pub(crate) fn all(&self, mut change: impl FnMut(&mut R), mut work: impl FnMut(&R, &mut V)) {
        for shard in &self.shards {
            let Shard { rules, entries, .. } = &mut *lock(shard);
            change(rules);
            entries.values_mut().for_each(|entry| work(rules, entry));
        }
    }

    /// Looks at all entries, shard by shard.
    pub(crate) fn each(&self, mut look: impl FnMut(Fingerprint, &R, &V)) {
        for shard in &self.shards {
            let Shard { rules, entries, .. } = &*lock(shard);
            entries.iter().for_each(|(key, entry)| look(*key, rules, entry));
        }
    }

    /// Puts in an entry from before, to look at when it is `due`; false if the key has one. It may
    /// be one more than there may be: what is kept already is not given up.
    pub(crate) fn restore(&self, key: Fingerprint, entry: V, due: Nanos) -> bool {
        let Shard { entries, appointments, .. } = &mut *self.shard(key);
        let hash_map::Entry::Vacant(vacant) = entries.entry(key) else { return false };
        vacant.insert(entry);
        appointments.push(Reverse((due, key)));
        self.entries.exceed();
        self.entries.made();
        true
    }

    /// The seed of the fingerprints.
    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// Forgets all entries that equal new ones, and says how many those were.
    pub(crate) fn evict(&self, now: Nanos, new_at: impl Fn(&R, &V) -> Option<Nanos>) -> usize {
        let evict = |shard: &Mutex<Shard<V, R>>| lock(shard).evict(now, usize::MAX, &new_at);
        let evicted = self.shards.iter().map(evict).sum();
        self.entries.evicted(evicted);
        evicted
    }

    /// The rules.
    pub(crate) fn rules(&self) -> R {
        lock(&self.shards[0]).rules.clone()
    }

    /// Works on the entry of this key, and makes one first if there is none.
    ///
    /// `new_at` tells from when on an entry equals a new one; `None` while it is in use.
    ///
    /// # Errors
    ///
    /// [`Full`] when there is none and the table is full of entries in use.
    pub(crate) fn entry<T>(
        &self,
        key: Fingerprint,
        now: Nanos,
        new_at: impl Fn(&R, &V) -> Option<Nanos>,
        make: impl FnOnce() -> V,
        work: impl FnOnce(&R, &mut V) -> T,
    ) -> Result<T, Full> {
        let mut shard = self.shard(key);
        let Shard { rules, entries, .. } = &mut *shard;
        if let Some(entry) = entries.get_mut(&key) {
            return Ok(work(rules, entry));
        }
        let evicted = shard.evict(now, EVICTIONS, &new_at);
        self.entries.evicted(evicted);
        if key == Fingerprint::OVERFLOW {
            self.entries.exceed();
        } else if !self.entries.reserve() {
            drop(shard);
            self.make_room(now, &new_at)?;
            shard = self.shard(key);
        }
        let Shard { rules, entries, appointments } = &mut *shard;
        let entry = match entries.entry(key) {
            // Made by somebody else while the lock was let go to make room.
            hash_map::Entry::Occupied(entry) => {
                self.entries.not_made();
                return Ok(work(rules, entry.into_mut()));
            }
            hash_map::Entry::Vacant(vacant) => vacant.insert(make()),
        };
        self.entries.made();
        let result = work(rules, entry);
        let appointment = new_at(rules, entry).unwrap_or(now);
        appointments.push(Reverse((appointment, key)));
        Ok(result)
    }

    /// Evicts an entry from any shard and counts the one that takes its place.
    fn make_room(&self, now: Nanos, new_at: &impl Fn(&R, &V) -> Option<Nanos>) -> Result<(), Full> {
        for shard in &self.shards {
            let evicted = lock(shard).evict(now, usize::MAX, new_at);
            self.entries.evicted(evicted);
            if self.entries.reserve() {
                return Ok(());
            }
        }
        Err(Full)
    }

    #[inline]
    fn shard(&self, key: Fingerprint) -> MutexGuard<'_, Shard<V, R>> {
        // The upper bits; the map inside uses the lower and the uppermost seven.
        lock(&self.shards[(key.0 >> 32) as usize % SHARDS])
    }
}

/// A panic in somebody's algorithm leaves a state that was not changed or half changed: for that
/// key only, and no reason to refuse everyone else.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V, R> Shard<V, R> {
    fn new(rules: R) -> Self {
        Self { rules, entries: HashMap::default(), appointments: BinaryHeap::new() }
    }

    /// Looks at up to `most` entries whose time has come, and drops those that equal new.
    fn evict(
        &mut self,
        now: Nanos,
        most: usize,
        new_at: &impl Fn(&R, &V) -> Option<Nanos>,
    ) -> usize {
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
            match new_at(&self.rules, entry) {
                Some(at) if at <= now => {
                    self.entries.remove(&key);
                }
                Some(later) => self.appointments.push(Reverse((later, key))),
                None => self.appointments.push(Reverse((now + IN_USE, key))),
            }
        }
        before - self.entries.len()
    }

    /// Drops the appointments of entries that are gone, once they are the most.
    fn compact(&mut self) {
        if self.appointments.len() > 2 * self.entries.len() + EVICTIONS {
            let mut seen = HashMap::<_, (), BuildHasherDefault<Identity>>::default();
            let entries = &self.entries;
            self.appointments.retain(|Reverse((_, key))| {
                entries.contains_key(key) && seen.insert(*key, ()).is_none()
            });
        }
    }
}
