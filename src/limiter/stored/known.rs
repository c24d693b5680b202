//! What this process knows of keys without asking the store.

use super::{
    line::{Lane, Lines},
    refused::Refused,
    resets::Resets,
};
use crate::store::StoreKey;

/// Who waits for permits of a key, and which keys were refused.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) lines: Lines,
    pub(super) resets: Resets,
    pub(super) refused: Option<Refused>,
}

impl Known {
    /// Nothing yet. At each key so many may wait.
    pub(super) fn new(refused: Option<Refused>, max_waiting: usize) -> Self {
        Self { lines: Lines::default(), resets: Resets::new(max_waiting), refused }
    }

    /// A key of a limit began anew: all who wait there are sent away.
    pub(super) fn reset(&self, lane: &Lane) {
        self.resets.reset(lane);
        self.lines.clear(lane);
    }

    /// Something came back, as far as anybody can tell.
    pub(super) fn freed(&self, key: &StoreKey) {
        if let Some(refused) = &self.refused {
            refused.freed(key);
        }
    }
}
