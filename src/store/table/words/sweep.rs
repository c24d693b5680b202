//! Forgetting what equals new.

use super::{Keeper, Words, due::BLOCK};
use crate::nanos::Nanos;

impl Words {
    /// Forgets keys whose states equal new, and says how many: goes on from where the last sweep
    /// stopped, and comes by this many blocks of eight lines at most, or by all.
    ///
    /// With [`usize::MAX`] nothing is overlooked. It costs little where nothing can go.
    pub(crate) fn sweep(&self, keeper: &mut Keeper, now: Nanos, blocks: usize) -> usize {
        let mut evicted = 0;
        for _ in 0..blocks.min(keeper.blocks()) {
            if !keeper.is_any_due(now) {
                break;
            }
            let (block, is_due) = keeper.due.turn(now);
            if is_due {
                evicted += self.sweep_block(keeper, block, now);
            }
            keeper.due.end_turn();
        }
        evicted
    }

    fn sweep_block(&self, keeper: &mut Keeper, block: usize, now: Nanos) -> usize {
        let (mut evicted, mut soonest) = (0, Nanos::MAX);
        for line in keeper.all_lines().skip(block * BLOCK).take(BLOCK) {
            let (dropped, kept_until) = self.sweep_line(keeper, line, now);
            evicted += dropped;
            soonest = soonest.min(kept_until);
        }
        keeper.due.looked(block, soonest);
        evicted
    }

    /// Forgets what equals new in one line: how many that was, and when something of the rest will.
    pub(super) fn sweep_line(
        &self,
        keeper: &mut Keeper,
        line: usize,
        now: Nanos,
    ) -> (usize, Nanos) {
        let (mut evicted, mut soonest) = (0, Nanos::MAX);
        let taken = self.lines.line(line).pairs().filter(|pair| pair.key().is_some());
        for pair in taken {
            match pair.evict(now) {
                Ok(()) => evicted += 1,
                Err(later) => soonest = soonest.min(later),
            }
        }
        keeper.kept -= evicted;
        (evicted, soonest)
    }
}
