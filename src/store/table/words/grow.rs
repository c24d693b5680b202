//! One line more.

use super::{Keeper, Words};

impl Words {
    /// Splits a line, unless there are as many as there may be.
    pub(super) fn grow(&self, keeper: &mut Keeper) {
        let Some(new) = self.lines.next() else { return };
        let shape = self.lines.shape();
        let (from, to, grown) = (shape.splits(), shape.count(), shape.grown());
        keeper.due.cover(grown);
        // In the new line a key may be in the same slots as in the old one.
        for (pair, room) in self.lines.line(from).pairs().zip(new.pairs()) {
            let moves = |key: &u64| {
                let lines = grown.lines(*key);
                lines[0] == to || !lines.contains(&from)
            };
            let Some(key) = pair.key().filter(moves) else { continue };
            let Some(state) = pair.hold() else { continue };
            keeper.due.note(to, state);
            // Nobody looks here yet. Whoever looks for the key meanwhile finds it held or not at all.
            room.occupy(key, state);
            pair.vacate();
        }
        self.lines.count_next();
    }
}
