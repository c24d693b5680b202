//! How many entries a table has, and may have.

use super::Fingerprint;
use crate::meters::KeyMeter;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the entries of a table: those that are there, and those whose place is reserved.
// On lines of its own: each new key changes it, and would take what is beside it out of everybody's cache.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Entries {
    counted: AtomicUsize,
    capacity: usize,
    meter: KeyMeter,
}

impl Entries {
    pub(super) fn new(capacity: usize, meter: KeyMeter) -> Self {
        Self { counted: AtomicUsize::new(0), capacity, meter }
    }

    pub(super) fn count(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// For one entry that may be made.
    pub(super) fn counted(&self) -> Counted<'_> {
        Counted { entries: self, is_counted: false }
    }

    /// Counts one entry more, if that many may be.
    pub(super) fn reserve(&self) -> bool {
        let more = |entries| (entries < self.capacity).then_some(entries + 1);
        self.counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Counts one entry more than there may be.
    pub(super) fn exceed(&self) {
        self.counted.fetch_add(1, Ordering::Relaxed);
    }

    /// The entry that was counted is there.
    pub(super) fn made(&self) {
        self.meter.kept();
    }

    /// The entry that was counted will not be made.
    fn not_made(&self) {
        self.counted.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many entries were there, and are not any more.
    pub(super) fn evicted(&self, entries: usize) {
        self.counted.fetch_sub(entries, Ordering::Relaxed);
        self.meter.evicted(entries);
    }
}

/// Whether an entry was counted that is not made yet. It is not any more when it is not made after
/// all, even where somebody's algorithm panics in between.
pub(super) struct Counted<'a> {
    entries: &'a Entries,
    is_counted: bool,
}

impl Counted<'_> {
    /// Counts an entry, if that was not done already and there is room for one.
    pub(super) fn reserve(&mut self, key: Fingerprint) -> bool {
        if key == Fingerprint::OVERFLOW {
            self.entries.exceed();
            self.is_counted = true;
        }
        self.is_counted = self.is_counted || self.entries.reserve();
        self.is_counted
    }

    /// Whoever made room counted it.
    pub(super) fn is_made_room_for(&mut self) {
        self.is_counted = true;
    }

    /// It is there.
    pub(super) fn made(&mut self) {
        self.entries.made();
        self.is_counted = false;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if self.is_counted {
            self.entries.not_made();
        }
    }
}

/// The entries go with their table, which is no eviction.
impl Drop for Entries {
    fn drop(&mut self) {
        self.meter.gone(*self.counted.get_mut());
    }
}
