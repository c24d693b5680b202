//! One row more.

use super::{
    Keeper, Words,
    shape::{line_of, row_of},
};

impl Words {
    /// Splits a line of this shard, unless there are as many as there may be. Those of the other shards are
    /// split when their keepers look for a key the next time.
    pub(super) fn grow(&self, keeper: &mut Keeper) {
        self.lines.grow(keeper.shape);
        self.follow(keeper);
    }

    /// Splits what has to be, for the lines of this shard to be as many as count. Until that is done, whoever
    /// looks for a key that moves does not find it, and asks the keeper.
    pub(super) fn follow(&self, keeper: &mut Keeper) {
        while keeper.shape != self.lines.shape() {
            self.split(keeper);
        }
    }

    fn split(&self, keeper: &mut Keeper) {
        let (shape, grown) = (keeper.shape, keeper.shape.grown());
        let [from, to] = [shape.splits(), shape.rows()].map(|row| line_of(row, keeper.shard));
        keeper.due.cover(grown.rows());
        // In the new line a key may be in the same slots as in the old one.
        for (pair, room) in self.lines.line(from).pairs().zip(self.lines.line(to).pairs()) {
            let moves = |key: &u64| {
                let lines = grown.lines(*key);
                lines[0] == to || !lines.contains(&from)
            };
            let Some(key) = pair.key().filter(moves) else { continue };
            let Some(state) = pair.hold() else { continue };
            keeper.due.note(row_of(to), state);
            // Whoever looks for the key meanwhile finds it held or not at all.
            room.occupy(key, state);
            pair.vacate();
        }
        keeper.shape = grown;
    }
}
