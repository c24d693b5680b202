//! What this process knows of keys without asking the store.

use super::{line::Lines, refused::Refused};
use crate::store::StoreKey;

/// Who waits for permits of a key, and which keys were refused.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) lines: Lines,
    pub(super) refused: Option<Refused>,
}

impl Known {
    /// Something came back, as far as anybody can tell.
    pub(super) fn freed(&self, key: &StoreKey) {
        if let Some(refused) = &self.refused {
            refused.freed(key);
        }
    }
}
