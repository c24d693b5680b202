//! A permit promised without a look at the clock.
//!
//! Reading the clock is half of what an admitted call costs. A service that asks when it is readied
//! and uses its permit when it is called would read it twice, so while there is plenty it is only
//! promised a permit when it is readied, and takes it when it is called.
//!
//! One permit can be promised at a time, and only while [`PLENTY`] were left when somebody last
//! looked, which time makes more and not fewer. Whoever else looks at the lane takes the promised
//! permit first, on behalf of its owner. It counts from that moment then like any other, so that
//! a service which is readied and not called keeps a permit from others for one interval from when
//! somebody first looked: before the others run short, [`PLENTY`] have.

use super::line::Place;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many permits have to be left for one of them to be promised.
pub(super) const PLENTY: u32 = 16;

/// The number of the promise, and how it stands in the lower two bits.
///
/// Only who holds the lock of the lane changes it, except that anybody may turn [`OPEN`] into
/// [`MADE`]. It guards no other memory, so no ordering is needed.
#[derive(Debug, Default)]
pub(super) struct Promise(AtomicU64);

const STATES: u64 = 0b11;
/// None can be made. The default.
const CLOSED: u64 = 0;
/// One can be made.
const OPEN: u64 = 1;
/// One was made.
const MADE: u64 = 2;

impl Promise {
    /// Makes a promise to nobody else.
    #[inline(always)]
    pub(super) fn make(&self) -> Option<Place> {
        let word = self.0.load(Ordering::Relaxed);
        if word & STATES != OPEN {
            return None;
        }
        let made = word - OPEN + MADE;
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        self.0.compare_exchange(word, made, success, failure).ok()?;
        Some(place(made))
    }

    /// Whether this is who a permit is promised to. For who holds the lock.
    #[inline(always)]
    pub(super) fn is_to(&self, owner: Place) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word & STATES == MADE && place(word) == owner
    }

    /// Ends the promise: whom one was made to. For who holds the lock, before anything else.
    #[inline(always)]
    pub(super) fn end(&self) -> Option<Place> {
        if self.0.load(Ordering::Relaxed) & STATES == CLOSED {
            return None;
        }
        // At once, as it may be made in this moment.
        let word = self.0.fetch_and(!STATES, Ordering::Relaxed);
        (word & STATES == MADE).then(|| place(word))
    }

    /// The promise was kept, or there was none: the next one can be made if so many permits are
    /// left. For who holds the lock.
    #[inline(always)]
    pub(super) fn renew(&self, is_plenty: bool) {
        let next = (self.0.load(Ordering::Relaxed) | STATES) + 1;
        let state = if is_plenty { OPEN } else { CLOSED };
        self.0.store(next + state, Ordering::Relaxed);
    }
}

/// The place of whom the promise was made to, behind all those in line.
#[inline(always)]
fn place(word: u64) -> Place {
    const BEHIND_THE_LINE: u64 = 1 << 63;
    Place::behind(BEHIND_THE_LINE | word >> 2)
}
