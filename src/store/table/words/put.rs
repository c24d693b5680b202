//! Room for a key that is new.

use super::{
    Keeper, TAKEN, Words,
    packed::Packed,
    pair::{NOBODY, Pair},
};
use crate::nanos::Nanos;

/// How many keys are moved at most to make room for one. With two, almost none is homeless: at three
/// slots of four taken, one in many thousands.
const MOVES: u32 = 2;

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
        debug_assert!(self.slot(key).is_none(), "a key is put in once");
        if key == NOBODY || !Packed::says(state) {
            return Put { evicted: 0, homeless: true };
        }
        if keeper.kept >= TAKEN * self.lines() {
            self.grow(keeper);
        }
        let mut evicted = 0;
        let mut room = self.room_for(keeper, key, 0);
        if room.is_none() {
            evicted = self.sweep_lines_of(keeper, key, now);
            room = (0..=MOVES).find_map(|moves| self.room_for(keeper, key, moves));
        }
        if let Some((line, pair)) = room {
            keeper.kept += 1;
            keeper.due.note(line, state);
            pair.occupy(key, state);
        }
        Put { evicted, homeless: room.is_none() }
    }

    fn sweep_lines_of(&self, keeper: &mut Keeper, key: u64, now: Nanos) -> usize {
        let lines = self.lines.shape().lines(key).into_iter();
        lines.map(|line| self.sweep_line(keeper, line, now).0).sum()
    }

    /// A free slot where this key may be, after up to so many moves, and the line it is in.
    fn room_for(&self, keeper: &mut Keeper, key: u64, moves: u32) -> Option<(usize, &Pair)> {
        let lines = self.lines.shape().lines(key).into_iter();
        lines.filter_map(|line| Some((line, self.room_in(keeper, line, moves)?))).next()
    }

    /// A free slot in this line, after up to so many moves.
    fn room_in(&self, keeper: &mut Keeper, line: usize, moves: u32) -> Option<&Pair> {
        let pairs = self.lines.line(line).pairs();
        if let Some(free) = pairs.iter().find(|pair| pair.key().is_none()) {
            return Some(free);
        }
        let moves = moves.checked_sub(1)?;
        pairs.iter().find(|pair| self.move_away(keeper, line, pair, moves).is_some())
    }

    /// Moves a key to its other line, if there is room after up to so many moves.
    fn move_away(&self, keeper: &mut Keeper, line: usize, pair: &Pair, moves: u32) -> Option<()> {
        let key = pair.key()?;
        let other = Some(self.lines.shape().other(key, line)).filter(|other| *other != line)?;
        let room = self.room_in(keeper, other, moves)?;
        let state = pair.hold()?;
        keeper.due.note(other, state);
        room.occupy(key, state);
        pair.vacate();
        Some(())
    }
}
