//! When which lines of a shard are worth a look, because some state there may equal new.

use crate::nanos::Nanos;

/// How many lines are looked at together.
pub(super) const BLOCK: usize = 8;

/// For each block of lines an instant before which nothing in there equals new.
///
/// Admissions only make states later, and a block's instant is not touched by them. It is worked out
/// again when the block is looked at. That way whoever looks for room in a table of keys that are all
/// in use looks at few of them: one block for each time that a state in it was pushed off.
#[derive(Debug)]
pub(super) struct Due {
    blocks: Vec<Nanos>,
    /// Before this, nothing equals new anywhere.
    soonest: Nanos,
    /// The block that is looked at next.
    next: usize,
}

impl Due {
    pub(super) fn new(rows: usize) -> Self {
        let mut due = Self { blocks: Vec::new(), soonest: Nanos::MAX, next: 0 };
        due.cover(rows);
        due
    }

    /// Knows of the lines in so many rows.
    pub(super) fn cover(&mut self, rows: usize) {
        self.blocks.resize(rows.div_ceil(BLOCK), Nanos::MAX);
    }

    /// A state was put into the line in this row, or made earlier there.
    pub(super) fn note(&mut self, row: usize, state: Nanos) {
        if let Some(block) = self.blocks.get_mut(row / BLOCK) {
            *block = state.min(*block);
        }
        self.soonest = self.soonest.min(state);
    }

    pub(super) fn soonest(&self) -> Nanos {
        self.soonest
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The block whose turn it is, and whether anything in it may equal new.
    pub(super) fn turn(&mut self, now: Nanos) -> (usize, bool) {
        let block = self.next;
        self.next = if block + 1 < self.blocks.len() { block + 1 } else { 0 };
        (block, self.blocks.get(block).is_some_and(|due| *due <= now))
    }

    /// The block whose turn it was has been looked at: nothing in it equals new before `soonest`.
    pub(super) fn looked(&mut self, block: usize, soonest: Nanos) {
        if let Some(block) = self.blocks.get_mut(block) {
            *block = soonest;
        }
    }

    /// Works out the soonest of all blocks, when they have all had their turns.
    pub(super) fn end_turn(&mut self) {
        if self.next == 0 {
            self.soonest = self.blocks.iter().copied().min().unwrap_or(Nanos::MAX);
        }
    }
}
