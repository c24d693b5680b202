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

    /// One more.
    pub(super) fn go_on(&self) {
        // It matters to nobody whether one is lost to somebody who counts at the same time.
        let many = self.0.load(Relaxed);
        if many < LONG {
            self.0.store(many + 1, Relaxed);
        }
    }

    /// The next batch does not try it, and the one behind that may.
    pub(super) fn pause(&self) {
        let many = self.0.load(Relaxed);
        self.0.store(many.min(LONG - 1), Relaxed);
    }

    pub(super) fn end(&self) {
        self.0.store(0, Relaxed);
    }
}
