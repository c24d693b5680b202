//! States of many keys in this process: bounded, sharded, evicting exactly.

use crate::{key::Key, nanos::Nanos};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, hash_map},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

const SHARDS: usize = 16;

/// How many entries an insertion below the cap looks at to find some that can go.
const EVICTIONS: usize = 3;

/// A key as the table knows it: a seeded 64-bit hash of its bytes. The key itself is not kept.
///
/// With n keys, the chance that any two share an entry is about n² / 2⁶⁵: one in 3.7 million
/// for three million keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// Stands for all the keys that found the table full. No key has it.
    pub(crate) const OVERFLOW: Self = Self(0);
}

/// How long an entry in use is left alone before it is looked at again.
const IN_USE: Nanos = Nanos::new(1_000_000_000);

/// The table is full, and all its entries are in use.
#[derive(Debug)]
pub(crate) struct Full;

/// A table of at most `capacity` entries, in shards so that keys rarely wait for each other.
#[derive(Debug)]
pub(crate) struct Table<V> {
    seed: RandomState,
    shards: [Mutex<Shard<V>>; SHARDS],
    entries: AtomicUsize,
    capacity: usize,
}

/// One lock's worth of the table.
#[derive(Debug)]
struct Shard<V> {
    entries: HashMap<Fingerprint, V, BuildHasherDefault<Identity>>,
    /// When to look whether an entry can go: one appointment for each, never after the instant
    /// at which it can. Earlier ones are moved when their time comes, so the one on top says
    /// whether any entry can go at all.
    appointments: BinaryHeap<Reverse<(Nanos, Fingerprint)>>,
}

impl<V> Table<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            seed: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            entries: AtomicUsize::new(0),
            capacity,
        }
    }

    #[inline]
    pub(crate) fn fingerprint(&self, key: &(impl Key + ?Sized)) -> Fingerprint {
        let mut hasher = self.seed.build_hasher();
        key.write(&mut |bytes| hasher.write(bytes));
        Fingerprint(hasher.finish().max(1))
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Forgets the entry of this key if it equals a new one, ahead of its appointment.
    pub(crate) fn forget(&self, key: Fingerprint, equals_new: impl FnOnce(&V) -> bool) {
        let mut shard = self.shard(key);
        if shard.entries.get(&key).is_some_and(equals_new) {
            shard.entries.remove(&key);
            self.entries.fetch_sub(1, Ordering::Relaxed);
            shard.compact();
        }
    }

    /// Works on the entry of this key, if there is one.
    #[inline]
    pub(crate) fn existing<R>(
        &self,
        key: Fingerprint,
        work: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        self.shard(key).entries.get_mut(&key).map(work)
    }

    /// Works on the entry of this key, and makes one first if there is none.
    ///
    /// `new_at` tells from when on an entry equals a new one; `None` while it is in use.
    ///
    /// # Errors
    ///
    /// [`Full`] when there is none and the table is full of entries in use.
    pub(crate) fn entry<R>(
        &self,
        key: Fingerprint,
        now: Nanos,
        new_at: impl Fn(&V) -> Option<Nanos>,
        make: impl FnOnce() -> V,
        work: impl FnOnce(&mut V) -> R,
    ) -> Result<R, Full> {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.entries.get_mut(&key) {
            return Ok(work(entry));
        }
        let evicted = shard.evict(now, EVICTIONS, &new_at);
        self.entries.fetch_sub(evicted, Ordering::Relaxed);
        if key == Fingerprint::OVERFLOW {
            self.entries.fetch_add(1, Ordering::Relaxed);
        } else if !self.reserve() {
            drop(shard);
            self.make_room(now, &new_at)?;
            shard = self.shard(key);
        }
        let entry = match shard.entries.entry(key) {
            // Made by somebody else while the lock was let go to make room.
            hash_map::Entry::Occupied(entry) => {
                self.entries.fetch_sub(1, Ordering::Relaxed);
                return Ok(work(entry.into_mut()));
            }
            hash_map::Entry::Vacant(vacant) => vacant.insert(make()),
        };
        let result = work(entry);
        let appointment = new_at(entry).unwrap_or(now);
        shard.appointments.push(Reverse((appointment, key)));
        Ok(result)
    }

    /// Counts one entry more, if that many may be.
    fn reserve(&self) -> bool {
        let more = |entries| (entries < self.capacity).then_some(entries + 1);
        self.entries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Evicts an entry from any shard and counts the one that takes its place.
    fn make_room(&self, now: Nanos, new_at: &impl Fn(&V) -> Option<Nanos>) -> Result<(), Full> {
        for shard in &self.shards {
            let evicted = lock(shard).evict(now, usize::MAX, new_at);
            self.entries.fetch_sub(evicted, Ordering::Relaxed);
            if self.reserve() {
                return Ok(());
            }
        }
        Err(Full)
    }

    #[inline]
    fn shard(&self, key: Fingerprint) -> MutexGuard<'_, Shard<V>> {
        // The upper bits; the map inside uses the lower and the uppermost seven.
        lock(&self.shards[(key.0 >> 32) as usize % SHARDS])
    }
}

/// A panic in somebody's algorithm leaves a state that was not changed or half changed: for that
/// key only, and no reason to refuse everyone else.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V> Shard<V> {
    /// Looks at up to `most` entries whose time has come, and drops those that equal new.
    fn evict(&mut self, now: Nanos, most: usize, new_at: &impl Fn(&V) -> Option<Nanos>) -> usize {
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
            match new_at(entry) {
                Some(at) if at <= now => {
                    self.entries.remove(&key);
                }
                Some(later) => self.appointments.push(Reverse((later, key))),
                None => self.appointments.push(Reverse((now + IN_USE, key))),
            }
        }
        before - self.entries.len()
    }
}

impl<V> Shard<V> {
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

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self { entries: HashMap::default(), appointments: BinaryHeap::new() }
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}
