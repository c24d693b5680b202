//! States of many keys in this process: bounded, sharded, evicting exactly.
//!
//! A key whose state is one instant, and that nobody waits for, is a [word](words) and no more: calls
//! find and change it without a lock. Everything else about keys takes the lock of their shard.

mod entries;
mod fingerprint;
mod folded;
mod names;
mod shard;
mod words;

pub(crate) use fingerprint::{Fingerprint, Identity, Seed};
pub use names::KeptKey;
pub(crate) use words::Word;

use self::{
    entries::Entries,
    names::Names,
    shard::{Left, Locked, Open},
    words::{SHARDS, Words},
};
use crate::{key::Key, meters::KeyMeter, nanos::Nanos, sync::Mutex};
use std::{fmt, sync::PoisonError};

/// The table is full, and all its entries are in use.
#[derive(Debug)]
pub(crate) struct Full;

/// What a table keeps for a key, by rules that all keys have in common.
pub(crate) trait Keep<R>: Default {
    /// From when on it equals a new one; `None` while it is in use.
    fn new_at(&self, rules: &R) -> Option<Nanos>;

    /// Whether it may be a word at all.
    fn has_words() -> bool {
        false
    }

    /// All of it, where that is one instant, from which on it equals a new one.
    fn word(&self) -> Option<Nanos> {
        None
    }

    /// What said that it was this word.
    fn from_word(_word: Nanos) -> Self {
        Self::default()
    }
}

/// A table of at most `capacity` entries, in shards so that keys rarely wait for each other. All
/// entries go by the same rules, of which each shard has its copy under its own lock.
pub(crate) struct Table<V, R> {
    seed: Seed,
    words: Words,
    shards: Box<[Shard<V, R>; SHARDS]>,
    entries: Entries,
    /// The keys themselves, where they are to be listed.
    names: Option<Names>,
}

/// On lines of its own, so that no shard takes another one out of somebody's cache.
#[repr(align(64))]
struct Shard<V, R>(Mutex<Locked<V, R>>);

impl<V: Keep<R>, R: Clone> Table<V, R> {
    pub(crate) fn new(seed: Seed, capacity: usize, rules: &R, meter: KeyMeter) -> Self {
        // Some shards have more than their share. What finds no room there is kept under the lock.
        let share = capacity.div_ceil(SHARDS);
        let share = if V::has_words() { share.saturating_add(share / 4) } else { 0 };
        let (words, keepers) = Words::new(share);
        let shard = |keeper| Shard(Mutex::new(Locked::new(rules.clone(), keeper)));
        Self {
            seed,
            words,
            names: None,
            shards: Box::new(keepers.map(shard)),
            entries: Entries::new(capacity, meter),
        }
    }

    #[inline(always)]
    pub(crate) fn fingerprint(&self, key: &(impl Key + ?Sized)) -> Fingerprint {
        let fingerprint = Fingerprint::of(&self.seed, key);
        if self.names.is_some() {
            self.note(fingerprint, key);
        }
        fingerprint
    }

    /// The same with the key itself, if keys are remembered: whoever has it may ask by the fingerprint
    /// at any time, and that key is listed then.
    pub(crate) fn named(&self, key: &(impl Key + ?Sized)) -> (Fingerprint, Option<KeptKey>) {
        let fingerprint = Fingerprint::of(&self.seed, key);
        (fingerprint, self.note(fingerprint, key))
    }

    #[cold]
    fn note(&self, fingerprint: Fingerprint, key: &(impl Key + ?Sized)) -> Option<KeptKey> {
        let names = self.names.as_ref()?;
        Some(names.note(fingerprint, key, self.len(), |key| self.contains(key)))
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
        self.open(key, |mut shard| shard.contains(key))
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.count()
    }

    /// The word of this key, to be changed without a lock; `None` where it is not, or something
    /// else is being done to it.
    #[inline(always)]
    pub(crate) fn word(&self, key: Fingerprint) -> Option<Word<'_>> {
        self.words.find(key.0)
    }

    /// Forgets the entry of this key if it equals a new one, ahead of its time.
    pub(crate) fn forget(&self, key: Fingerprint, now: Nanos) {
        self.open(key, |mut shard| shard.forget(key, now));
    }

    /// Works on the entry of this key, if there is one.
    #[inline]
    pub(crate) fn existing<T>(
        &self,
        key: Fingerprint,
        work: impl FnOnce(&R, &mut V) -> T,
    ) -> Option<T> {
        self.open(key, |mut shard| shard.work(key, work))
    }

    /// Works on all entries, shard by shard, and on the rules first.
    pub(crate) fn all(&self, mut change: impl FnMut(&mut R), mut work: impl FnMut(&R, &mut V)) {
        self.each_shard(|mut shard| {
            change(&mut shard.locked.rules);
            shard.work_on_all(&mut work);
        });
    }

    /// The same without those that are a word.
    pub(crate) fn all_but_words(
        &self,
        mut change: impl FnMut(&mut R),
        mut work: impl FnMut(&R, &mut V),
    ) {
        self.each_shard(|mut shard| {
            change(&mut shard.locked.rules);
            shard.work_on_entries(&mut work);
        });
    }

    /// Looks at all entries, shard by shard.
    pub(crate) fn each(&self, mut look: impl FnMut(Fingerprint, &R, &V)) {
        self.each_shard(|mut shard| shard.each(&mut look));
    }

    /// Puts in an entry from before, to look at when it is `due`; false if the key has one. It may
    /// be one more than there may be: what is kept already is not given up.
    pub(crate) fn restore(&self, key: Fingerprint, entry: V, due: Nanos) -> bool {
        self.open(key, |mut shard| {
            if shard.contains(key) {
                return false;
            }
            self.entries.exceed();
            self.entries.made();
            shard.insert(key, entry, due, Nanos::ZERO);
            true
        })
    }

    /// The seed of the fingerprints.
    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// Forgets all entries that equal new ones, and says how many those were: a few of each shard in turn, so
    /// that nobody waits for a lock for long.
    pub(crate) fn evict(&self, now: Nanos) -> usize {
        let mut evicted = 0;
        let mut rounds: Vec<_> = self.shards.iter().map(|shard| (shard, None)).collect();
        while !rounds.is_empty() {
            rounds.retain_mut(|(shard, left)| {
                evicted += self.open_shard(shard, |mut shard| shard.evict_next(left, now));
                left.is_some_and(Left::is_any)
            });
        }
        evicted
    }

    /// The rules.
    pub(crate) fn rules(&self) -> R {
        self.open(Fingerprint::OVERFLOW, |shard| shard.locked.rules.clone())
    }

    /// Works on the entry of this key, and makes one first if there is none.
    ///
    /// # Errors
    ///
    /// [`Full`] when there is none and the table is full of entries in use.
    pub(crate) fn entry<T>(
        &self,
        key: Fingerprint,
        now: Nanos,
        work: impl FnOnce(&R, &mut V) -> T,
    ) -> Result<T, Full> {
        // Asked for up to three times, and used once.
        let mut work = Some(work);
        let mut once = |rules: &R, entry: &mut V| work.take().map(|work| work(rules, entry));
        let mut counted = self.entries.counted();
        loop {
            let done = self.open(key, |mut shard| {
                if let Some(result) = shard.work(key, &mut once) {
                    // If it was counted, it was made by somebody else while the lock was let go to
                    // make room.
                    return result;
                }
                shard.evict_some(now);
                if !counted.reserve(key) {
                    return None;
                }
                let mut entry = V::default();
                let result = once(&shard.locked.rules, &mut entry);
                if entry.word().is_some_and(|word| word <= now) {
                    // As new as it was before.
                    return result;
                }
                let due = entry.new_at(&shard.locked.rules).unwrap_or(now);
                counted.made();
                shard.insert(key, entry, due, now);
                result
            });
            if let Some(result) = done {
                return Ok(result);
            }
            self.make_room(now)?;
            counted.is_made_room_for();
        }
    }

    /// Evicts an entry from any shard and counts the one that takes its place.
    fn make_room(&self, now: Nanos) -> Result<(), Full> {
        for shard in &*self.shards {
            let mut left = None;
            loop {
                self.open_shard(shard, |mut shard| shard.evict_next(&mut left, now));
                if self.entries.reserve() {
                    return Ok(());
                }
                if !left.is_some_and(Left::is_any) {
                    break;
                }
            }
        }
        Err(Full)
    }

    fn open<T>(&self, key: Fingerprint, work: impl FnOnce(Open<'_, V, R>) -> T) -> T {
        self.open_shard(&self.shards[Words::shard(key.0)], work)
    }

    fn open_shard<T>(&self, shard: &Shard<V, R>, work: impl FnOnce(Open<'_, V, R>) -> T) -> T {
        // A panic in somebody's algorithm leaves a state that was not changed or half changed: for
        // that key only, and no reason to refuse everyone else.
        let locked = &mut *shard.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(Open { locked, words: &self.words, counted: &self.entries })
    }

    fn each_shard(&self, mut work: impl FnMut(Open<'_, V, R>)) {
        self.shards.iter().for_each(|shard| self.open_shard(shard, &mut work));
    }
}

impl<V, R> fmt::Debug for Table<V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("entries", &self.entries).finish_non_exhaustive()
    }
}
