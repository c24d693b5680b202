//! Slots: a key and its state, and the ways in which they may change.

use super::packed::Packed;
use crate::{
    nanos::Nanos,
    sync::{AtomicU64, Ordering},
};
use std::hint::select_unpredictable;

/// How many pairs a line has.
pub(super) const PAIRS: usize = 4;

/// The tag of a slot without an owner. No key has it.
pub(super) const NOBODY: u64 = 0;

/// How many words a line has.
pub(super) const WORDS: usize = 2 * PAIRS;

/// Four slots, which the processor fetches at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a>(&'a [AtomicU64; WORDS]);

/// A slot: the whole fingerprint of its owner, and the state. All zeros are a slot that never had an owner.
///
/// [`read`](Self::read), [`is_still`](Self::is_still) and [`replace`](Self::replace) are anybody's at any
/// time. All else is the keeper's, who takes the state out before the owner changes, so that a change that comes in
/// between fails and nobody's admission is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a>(&'a [AtomicU64; 2]);

impl<'a> Line<'a> {
    #[inline(always)]
    pub(super) fn new(words: &'a [AtomicU64; WORDS]) -> Self {
        Self(words)
    }

    /// The slot of this key in one of two lines, if it is in there; any other one if not.
    ///
    /// All four slots where it may be are looked at, and nothing depends on what is in them but the
    /// result. To stop in the line where the key is would be to guess, wrong for one key of three: on keys
    /// in the cache that takes a quarter longer. The price is a second line from memory for each key,
    /// side by side with the first.
    #[inline(always)]
    pub(super) fn guess(self, other: Self, key: u64) -> Pair<'a> {
        let ([a, b], [c, d]) = (self.slots(key), other.slots(key));
        let or = |pair: Pair<'a>, others: Pair<'a>| {
            select_unpredictable(pair.tag().load(Ordering::Relaxed) == key, pair, others)
        };
        or(a, or(b, or(c, d)))
    }

    /// The two slots of a line in which this key may be, the same in both of its lines.
    ///
    /// Two and not all four of them, as that makes a search half as long. One and the next and not two
    /// halves of a line, as that lets as many keys find room nevertheless, by half as many moves.
    #[inline(always)]
    pub(super) fn slots(self, key: u64) -> [Pair<'a>; 2] {
        // By the upper two bits, which choose no line.
        let first = (key >> 62) as usize;
        let (pairs, _) = self.0.as_chunks();
        [Pair(&pairs[first % PAIRS]), Pair(&pairs[(first + 1) % PAIRS])]
    }

    pub(super) fn pairs(self) -> impl Iterator<Item = Pair<'a>> {
        self.0.as_chunks().0.iter().map(Pair)
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn address(self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl Pair<'_> {
    #[inline(always)]
    fn tag(&self) -> &AtomicU64 {
        &self.0[0]
    }

    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        &self.0[1]
    }

    /// The word of this key, if it is here: that of its owner before, if the slot changes owners just now.
    ///
    /// It was, if the word [is still](Self::is_still) the same afterwards, or can be [replaced](Self::replace).
    /// Say it is of the slot's i-th owner: its number comes after the tag of the one before is gone, so the
    /// tag is of the i-th or a later one. Say of the j-th: its number comes before its tag, so the word is of
    /// the j-th or a later one by now. As it is of the i-th still, both are one; were it not for numbers that
    /// come again, when a slot has four owners in between.
    #[inline(always)]
    pub(super) fn read(&self, key: u64) -> Option<Packed> {
        let packed = Packed(self.word().load(Ordering::Acquire));
        (self.tag().load(Ordering::Acquire) == key).then_some(packed)
    }

    /// Whether nobody changed the state since it was read, nor became the owner.
    #[inline(always)]
    pub(super) fn is_still(&self, packed: Packed) -> bool {
        self.word().load(Ordering::Acquire) == packed.0
    }

    /// Changes the state, if nobody did since it was read: neither the state nor the owner.
    ///
    /// The owner's number is part of what is compared. For a change to go to somebody else's state,
    /// the slot would have to have four owners since the state was read, and the same nanosecond for a
    /// state, while most who come after an eviction have a later one.
    #[inline(always)]
    pub(super) fn replace(&self, before: Packed, after: Packed) -> bool {
        let (before, after) = (before.0, after.0);
        self.word().compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The keeper's: the key that is here.
    pub(super) fn key(&self) -> Option<u64> {
        Some(self.tag().load(Ordering::Relaxed)).filter(|key| *key != NOBODY)
    }

    /// The keeper's: the state, as it is just now.
    pub(super) fn state(&self) -> Option<Nanos> {
        Packed(self.word().load(Ordering::Relaxed)).state()
    }

    /// The keeper's: takes the state out. Nobody changes it until it is released, or has moved.
    pub(super) fn hold(&self) -> Option<Nanos> {
        Packed(self.word().fetch_and(Packed::HELD, Ordering::AcqRel)).state()
    }

    /// The keeper's: lets go of a state, which has to be one that a word can say.
    pub(super) fn release(&self, state: Nanos) {
        let held = Packed(self.word().load(Ordering::Relaxed));
        if let Some(packed) = held.with(state) {
            self.word().store(packed.0, Ordering::Release);
        }
    }

    /// The keeper's: an owner for a slot that has none.
    pub(super) fn occupy(&self, key: u64, state: Nanos) {
        let held = Packed(self.word().load(Ordering::Relaxed)).next_owner();
        // Whoever sees the number does not see the owner before in the tag any more.
        self.word().store(held.0, Ordering::Release);
        // Whoever sees the tag sees the number of its owner, too.
        self.tag().store(key, Ordering::Release);
        self.release(state);
    }

    /// The keeper's: ends the ownership, once the state is held.
    pub(super) fn vacate(&self) {
        // Whoever looks for nobody finds the state held.
        self.tag().store(NOBODY, Ordering::Release);
    }

    /// The keeper's: ends the ownership if the state equals new, or says when it will.
    pub(super) fn evict(&self, now: Nanos) -> Result<(), Nanos> {
        let mut before = Packed(self.word().load(Ordering::Relaxed));
        while let Some(state) = before.state() {
            if state > now {
                return Err(state);
            }
            // Somebody may be admitted just now, and then the state is later.
            if self.replace(before, before.held()) {
                break;
            }
            before = Packed(self.word().load(Ordering::Relaxed));
        }
        self.vacate();
        Ok(())
    }
}
