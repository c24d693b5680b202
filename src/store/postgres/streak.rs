//! Whether the quickest way is worth a try.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many batches in a row have to be such that the quickest way could have decided them before the next
/// one tries it. Where it fails, what it wrote is undone and written again, which takes half as long again
/// and leaves dead rows.
const LONG: u32 = 8;

/// How many batches in a row the quickest way could have decided.
#[derive(Default)]
pub(super) struct Streak(AtomicU32);

impl Streak {
    /// Whether the next batch should try it.
    pub(super) fn is_long(&self) -> bool {
        self.0.load(Relaxed) >= LONG
    }

    /// One more, or the end of it.
    pub(super) fn note(&self, goes_on: bool) {
        match goes_on {
            // It matters to nobody whether one is lost to somebody who counts at the same time.
            true if !self.is_long() => self.0.store(self.0.load(Relaxed) + 1, Relaxed),
            true => {}
            false => self.end(),
        }
    }

    pub(super) fn end(&self) {
        self.0.store(0, Relaxed);
    }
}
