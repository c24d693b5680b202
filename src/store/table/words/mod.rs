//! States of one word for many keys: found and changed without a lock, in two cache lines.
//!
//! A state is the instant from which it equals new. [`Words`] is a set-associative table of them in lines of
//! 64 bytes, each of four slots. A key may be in two slots of each of two lines (cuckoo hashing). The table grows by
//! one row of lines at a time (linear hashing), and those that are there stay where they are. The whole fingerprint of
//! the key is in its slot, so nothing else is kept of it, and a line can be split without a look at anything else.
//!
//! Anybody may find a state and replace it at any time. Each row has a line for each shard, and keys stay in
//! those of their shard. Where keys are put in, moved, and taken out there is for one at a time to change: whoever has
//! the shard's [`Keeper`], which belongs under a lock. Who does not find a key, or finds its state held, takes that
//! lock and sees how things are.
//!
//! Why nobody's admission is lost, nor charged to somebody else:
//!
//! - The keeper takes a state out before its slot gets another owner, or none. An admission comes
//!   before that and is in the state that was taken, or it fails.
//! - A word says whose it is, by the number of the owner of its slot. An admission worked out for one
//!   owner does not fit the word of another, and a refusal looks again, see [`Pair::read`] and [`Pair::replace`].
//! - A key that moves is in both slots for a while, and its state is held in the old one before it is
//!   let go in the new one: there is one state to be had at most.
//! - A row that is new counts at once for who looks for a key, and for each shard once its keeper has moved the
//!   keys there. Who looks for those by another number of rows than the keeper's does not find them, or finds their
//!   states held.

mod packed;
mod pair;
mod shape;
mod lines;
mod due;
mod put;
mod grow;
mod held;
mod sweep;
#[cfg(all(test, not(loom)))]
mod beside_a_map;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod models;

pub(crate) use self::{held::Held, put::Put};

pub(in crate::store) use self::shape::SHARDS;

use self::{
    due::Due,
    lines::Lines,
    packed::Packed,
    pair::Pair,
    put::SPARE,
    shape::{Shape, line_of, row_of},
};
use crate::nanos::Nanos;

/// How many of a line's slots are taken, on average, before there is a row more, if every key has a home
/// there. Above that, putting keys in takes longer and some remain homeless; below, keys take more memory.
const TAKEN: usize = 3;

/// The states of all keys.
// On lines of its own: nothing in it changes but the number of lines, and whatever does, beside it,
// would take it out of everybody's cache.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Words {
    lines: Lines,
}

/// What only one at a time may have: the right to change who is where in the lines that one shard has of the
/// [`Words`] that it was made with.
#[derive(Debug)]
pub(crate) struct Keeper {
    shard: usize,
    /// How many lines count for it. It follows as many as count for who looks for a key.
    shape: Shape,
    kept: usize,
    due: Due,
}

/// The state of a key, as it was found: that of another one, if the slot was just given away. Then it cannot be
/// replaced, and is not still there.
#[derive(Debug)]
pub(crate) struct Word<'a> {
    pair: Pair<'a>,
    packed: Packed,
    state: Nanos,
}

impl Words {
    /// A table for this many keys in each shard, which takes more than that, but grows little after that, and
    /// the more there are the more of them are homeless.
    pub(crate) fn new(most_keys: usize) -> (Self, [Keeper; SHARDS]) {
        let lines = Lines::new(most_keys.div_ceil(TAKEN) + SPARE);
        let shape = lines.shape();
        let keeper = |shard| Keeper { shard, shape, kept: 0, due: Due::new(shape.rows()) };
        (Self { lines }, std::array::from_fn(keeper))
    }

    /// The shard of this key: which keeper it has.
    #[inline(always)]
    pub(crate) fn shard(key: u64) -> usize {
        Shape::shard(key)
    }

    /// The state of this key. `None` when it has to be looked for by the keeper: it is not here, or
    /// held. 0 is no key: where it is found nothing is let go.
    #[inline(always)]
    pub(crate) fn find(&self, key: u64) -> Option<Word<'_>> {
        let [first, second] = self.lines.shape().lines(key).map(|line| self.lines.get(line));
        let pair = first?.guess(second?, key);
        let packed = pair.read(key)?;
        Some(Word { pair, packed, state: packed.state()? })
    }

    /// Looks at all states of this shard.
    pub(crate) fn each(&self, keeper: &mut Keeper, mut look: impl FnMut(u64, Nanos)) {
        for line in keeper.all_lines() {
            for (key, state) in self.kept_in(line) {
                look(key, state);
            }
        }
    }

    /// The slot of this key, and the row it is in.
    fn slot(&self, keeper: &Keeper, key: u64) -> Option<(usize, Pair<'_>)> {
        debug_assert_eq!(Self::shard(key), keeper.shard, "a key has its own keeper");
        self.slots(keeper.shape, key).find(|(_, pair)| pair.key() == Some(key))
    }

    /// The slots where this key may be, and the rows that they are in.
    fn slots(&self, shape: Shape, key: u64) -> impl Iterator<Item = (usize, Pair<'_>)> {
        let lines = shape.lines(key).into_iter();
        lines
            .flat_map(move |line| self.lines.line(line).slots(key).map(|pair| (row_of(line), pair)))
    }

    /// The keys of one line, and their states.
    fn kept_in(&self, line: usize) -> impl Iterator<Item = (u64, Nanos)> {
        let pairs = self.lines.line(line).pairs();
        pairs.filter_map(|pair| Some((pair.key()?, pair.state()?)))
    }
}

impl Keeper {
    /// How many keys there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.kept
    }

    /// How many blocks a [sweep](Words::sweep) comes by until it has seen all lines.
    pub(crate) fn blocks(&self) -> usize {
        self.due.blocks()
    }

    /// Whether any state may equal new.
    pub(crate) fn is_any_due(&self, now: Nanos) -> bool {
        self.due.soonest() <= now
    }

    /// How many rows there are.
    fn rows(&self) -> usize {
        self.shape.rows()
    }

    /// The lines of the shard.
    fn all_lines(&self) -> impl Iterator<Item = usize> + use<> {
        let shard = self.shard;
        (0..self.rows()).map(move |row| line_of(row, shard))
    }
}

impl Word<'_> {
    /// The first instant that a word cannot say.
    pub(crate) const END: Nanos = Packed::END;

    /// The state, as it was found.
    #[inline]
    pub(crate) fn state(&self) -> Nanos {
        self.state
    }

    /// Whether the state is still the one that was found, and was that of this key then.
    #[inline]
    pub(crate) fn is_still_there(&self) -> bool {
        self.pair.is_still(self.packed)
    }

    /// Puts another state, which should be later, in the place of the one that was found. False when
    /// it is not that any more, or a word cannot say the other one: it has to be looked for again.
    #[inline]
    pub(crate) fn replace(self, after: Nanos) -> bool {
        self.packed.with(after).is_some_and(|after| self.pair.replace(self.packed, after))
    }
}
