//! Room for a key that is new.

use super::{
    Keeper, TAKEN, Words,
    packed::Packed,
    pair::{NOBODY, Pair},
};
use crate::nanos::Nanos;

/// How many keys are moved at most to make room for one. With four, almost none is homeless: at three
/// slots of four taken, one in a hundred thousand where there are many, one in a hundred where there are
/// dozens.
const MOVES: u32 = 4;

/// How many rows more there may be for keys that are homeless otherwise. Whoever is homeless in a small
/// table would be so for long; in a large one more rows would change nothing, and take memory.
pub(super) const SPARE: usize = 16;

/// What became of a key that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Put {
    /// How many keys were forgotten to make room, because their states equalled new.
    pub(crate) evicted: usize,
    /// Whether the key is homeless: there was no room where it may be, or a word cannot say its
    /// state. It has to be kept elsewhere.
    pub(crate) homeless: bool,
}

impl Words {
    /// Puts in a key that is not here, as [`hold`](Self::hold) has just told.
    pub(crate) fn put(&self, keeper: &mut Keeper, key: u64, state: Nanos, now: Nanos) -> Put {
        debug_assert!(self.slot(keeper, key).is_none(), "a key is put in once");
        if key == NOBODY || !Packed::says(state) {
            return Put { evicted: 0, homeless: true };
        }
        if keeper.kept >= TAKEN * keeper.rows() {
            self.grow(keeper);
        }
        let mut evicted = 0;
        let mut room = self.room_for(keeper, key, 0);
        if room.is_none() {
            evicted = self.sweep_lines_of(keeper, key, now);
            room = self.make_room_for(keeper, key);
        }
        if room.is_none() && keeper.rows() < keeper.kept.div_ceil(TAKEN) + SPARE {
            self.grow(keeper);
            room = self.make_room_for(keeper, key);
        }
        if let Some((row, pair)) = room {
            keeper.kept += 1;
            keeper.due.note(row, state);
            pair.occupy(key, state);
        }
        Put { evicted, homeless: room.is_none() }
    }

    fn sweep_lines_of(&self, keeper: &mut Keeper, key: u64, now: Nanos) -> usize {
        let lines = keeper.shape.lines(key).into_iter();
        lines.map(|line| self.sweep_line(keeper, line, now).0).sum()
    }

    /// A free slot where this key may be, after as few moves as will do, and the row it is in.
    fn make_room_for(&self, keeper: &mut Keeper, key: u64) -> Option<(usize, Pair<'_>)> {
        (0..=MOVES).find_map(|moves| self.room_for(keeper, key, moves))
    }

    /// A free slot where this key may be, after up to so many moves, and the row it is in.
    fn room_for(&self, keeper: &mut Keeper, key: u64, moves: u32) -> Option<(usize, Pair<'_>)> {
        if let Some(free) = self.slots(keeper.shape, key).find(|(_, pair)| pair.key().is_none()) {
            return Some(free);
        }
        let moves = moves.checked_sub(1)?;
        // The key itself is in one of them if it is to be moved.
        let others = |(_, pair): &(usize, Pair<'_>)| pair.key() != Some(key);
        let mut taken = self.slots(keeper.shape, key).filter(others);
        taken.find(|(_, pair)| self.move_away(keeper, *pair, moves).is_some())
    }

    /// Moves the key of this slot to another one, if there is room after up to so many moves.
    fn move_away(&self, keeper: &mut Keeper, pair: Pair<'_>, moves: u32) -> Option<()> {
        let key = pair.key()?;
        let (row, room) = self.room_for(keeper, key, moves)?;
        if pair.key() != Some(key) {
            // It was moved itself to make that room.
            return None;
        }
        let state = pair.hold()?;
        keeper.due.note(row, state);
        room.occupy(key, state);
        pair.vacate();
        Some(())
    }
}
