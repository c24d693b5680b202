//! The state of a limit in a word that calls change without a lock.

use super::short_way::{Find, Word};
use crate::{
    algorithm::Bucket,
    nanos::Nanos,
    sync::{AtomicU64, Ordering},
};

/// The state of a single limit, while the key is at rest; otherwise it is under the lock.
///
/// Whoever finds a state that was [put back](Self::put_back) after the rules changed finds that they
/// did; apart from that the word guards no other memory, so no ordering is needed. It is alone on its
/// line, as whoever changes it takes the line from everybody else.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Cell {
    empty_at: AtomicU64,
    /// When somebody last looked at the clock here.
    seen: AtomicU64,
}

/// The state of a cell, as it was found.
#[derive(Debug)]
pub(super) struct Found<'a> {
    cell: &'a Cell,
    empty_at: Nanos,
    now: Nanos,
}

/// The state is not here. As a state it would be the end of time.
const AWAY: u64 = u64::MAX;

/// How many permits have to be left, beside one for each handle of the limiter, for one to be
/// promised without a look at the clock.
const PLENTY: u64 = 16;

impl Cell {
    /// Of a limit that was never used.
    pub(super) fn new() -> Self {
        Self { empty_at: AtomicU64::new(0), seen: AtomicU64::new(0) }
    }

    /// The state, if it is here.
    #[inline(always)]
    pub(super) fn load(&self) -> Option<Nanos> {
        let empty_at = self.empty_at.load(Ordering::Acquire);
        (empty_at != AWAY).then_some(Nanos::new(empty_at))
    }

    /// Takes the state out, if it is here. For who holds the lock.
    #[inline]
    pub(super) fn take_out(&self) -> Option<Nanos> {
        // Once it is away, only who holds the lock puts it back.
        let is_here = self.empty_at.load(Ordering::Relaxed) != AWAY;
        is_here.then(|| Nanos::new(self.empty_at.swap(AWAY, Ordering::Relaxed)))
    }

    /// Puts the state back. For who holds the lock.
    #[inline]
    pub(super) fn put_back(&self, empty_at: Nanos) {
        // It may be by rules that somebody else changed who held the lock before, and shut the short
        // way: who reads this state, or one made of it, must not take the bucket from before for the
        // one that it goes by.
        self.empty_at.store(empty_at.get(), Ordering::Release);
    }

    /// Remembers when this was for those who do not look at the clock.
    #[inline(always)]
    pub(super) fn looked(&self, now: Nanos) {
        self.seen.store(now.get(), Ordering::Relaxed);
    }

    /// Whether there are permits left for so many handles, and plenty besides, as far as one knows
    /// without a look at the clock: from when it was last looked at, permits became more by time and
    /// fewer by what was taken, which the state says.
    #[inline(always)]
    pub(super) fn has_plenty(&self, bucket: Bucket, handles: usize) -> bool {
        let wanted = bucket.interval.get().saturating_mul(handles as u64 + PLENTY);
        let seen = Nanos::new(self.seen.load(Ordering::Relaxed));
        // Full it would be the end of time.
        let filled = self.load().unwrap_or(Nanos::MAX) - seen;
        filled <= bucket.depth && (bucket.depth - filled).get() >= wanted
    }
}

/// For a call that comes at this instant.
impl<'a> Find for (&'a Cell, Nanos) {
    type Word = Found<'a>;

    #[inline(always)]
    fn find(self) -> Option<Found<'a>> {
        let (cell, now) = self;
        // Where it is away, that is the end of time, when nobody is let go but under the lock.
        Some(Found { cell, empty_at: Nanos::new(cell.empty_at.load(Ordering::Acquire)), now })
    }
}

impl Word for Found<'_> {
    const END: Nanos = Nanos::new(AWAY);

    #[inline(always)]
    fn state(&self) -> Nanos {
        self.empty_at
    }

    /// There is no other key here, and what was found was so at some instant of the call.
    #[inline(always)]
    fn is_still_there(&self) -> bool {
        true
    }

    #[inline(always)]
    fn replace(self, after: Nanos) -> bool {
        let (before, after) = (self.empty_at.get(), after.get());
        // Whoever looks at the version afterwards sees one that is no older than the state it changed.
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        let replaced = self.cell.empty_at.compare_exchange(before, after, success, failure);
        self.cell.looked(self.now);
        replaced.is_ok()
    }
}
