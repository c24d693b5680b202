//! The lines of a table, which come in segments, so that none has to move when there are more.

use super::{pair::Line, shape::Shape};
use crate::sync::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// How many lines there are at first, which is the size of the first segment; each one has twice as
/// many as the one before.
pub(super) const FIRST: u32 = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 2;

/// Up to this size, 256 lines or 16 KiB: whoever needs a segment more waits until it is made, and the
/// system has found memory for it, which for 64 KiB takes five times as long.
const LARGEST_BITS: u32 = 8;

/// At most so many lines are there, however many keys there may be: 2²⁰, or 64 MiB, for three million
/// keys a shard.
const MOST: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Lines {
    count: AtomicU32,
    segments: Box<[OnceLock<Box<[Line]>>]>,
}

impl Lines {
    /// Room for up to this many lines, of which a few are made.
    pub(super) fn new(most: usize) -> Self {
        let (last, _) = position(most.min(MOST).saturating_sub(1));
        let lines = Self {
            count: AtomicU32::new(FIRST),
            segments: (0..=last).map(|_| OnceLock::new()).collect(),
        };
        lines.make(0);
        lines
    }

    #[inline]
    pub(super) fn shape(&self) -> Shape {
        // Whoever sees that a line counts sees what is in it.
        Shape(self.count.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn get(&self, line: usize) -> Option<&Line> {
        let (segment, offset) = position(line);
        self.segments.get(segment)?.get()?.get(offset)
    }

    /// The keeper's: one of the lines that count.
    pub(super) fn line(&self, line: usize) -> &Line {
        self.get(line).expect("lines are made before they count")
    }

    /// The keeper's: makes the line after the last, which does not count yet. `None` when there may
    /// be no more.
    pub(super) fn next(&self) -> Option<&Line> {
        let next = self.shape().0 as usize;
        let (segment, offset) = position(next);
        self.make(segment)?.get(offset)
    }

    /// The keeper's: the line after the last counts from now on.
    pub(super) fn count_next(&self) {
        self.count.store(self.shape().grown().0, Ordering::Release);
    }

    fn make(&self, segment: usize) -> Option<&[Line]> {
        let size = 1_usize << LARGEST_BITS.min(FIRST_BITS + u32::try_from(segment).ok()?);
        let new = || (0..size).map(|_| Line::new()).collect();
        Some(self.segments.get(segment)?.get_or_init(new))
    }
}

/// The segment of a line, and where in there it is. Without a branch, which nobody could predict.
#[inline]
fn position(line: usize) -> (usize, usize) {
    // With as many lines more as the first segment has, each segment begins at its size, or, of those
    // of the largest size, at a multiple of it.
    let line = line + FIRST as usize;
    let bits = line.ilog2().min(LARGEST_BITS);
    let segment = (bits - FIRST_BITS) as usize + (line >> bits) - 1;
    (segment, line & ((1 << bits) - 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Lines, position};

    #[test]
    fn each_line_has_a_place_of_its_own() {
        let (mut expected, mut size) = ((0, 0), 4);
        for line in 0..5000 {
            assert_eq!(position(line), expected, "line {line}");
            expected.1 += 1;
            if expected.1 == size {
                expected = (expected.0 + 1, 0);
                size = (size * 2).min(256);
            }
        }
    }

    #[test]
    fn lines_are_there_up_to_the_most_that_there_may_be() {
        let lines = Lines::new(2044);
        for count in 4..2044 {
            assert!(lines.next().is_some());
            lines.count_next();
            assert!(lines.get(count).is_some());
        }
        assert!(lines.next().is_none());
    }
}
