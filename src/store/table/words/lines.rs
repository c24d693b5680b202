//! The lines of a table, which come in segments, so that none has to move when there are more.

use super::{
    pair::Line,
    shape::Shape,
    sync::{AtomicU32, Ordering},
};
use std::sync::OnceLock;

/// How many lines there are at first, which is the size of the first segment; the next has as many,
/// and each one then twice as many as the one before.
pub(super) const FIRST: u32 = 4;

/// The size of the largest segments: 64 KiB, which takes some ten microseconds to make.
const SEGMENT: usize = 1024;

/// How many segments hold the first [`SEGMENT`] lines.
const SMALL: usize = (SEGMENT / FIRST as usize).ilog2() as usize + 1;

/// At most so many lines are there, however many keys there may be: 2²⁴, which is 1 GiB.
const LARGEST: usize = 1 << 24;

#[derive(Debug)]
pub(super) struct Lines {
    count: AtomicU32,
    segments: Box<[OnceLock<Box<[Line]>>]>,
}

impl Lines {
    /// Room for up to this many lines, of which a few are made.
    pub(super) fn new(most: usize) -> Self {
        let (last, _) = position(most.min(LARGEST).saturating_sub(1));
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
        let lines = self.segments.get(segment)?.get_or_init(|| {
            let size = match segment {
                0 => FIRST as usize,
                small @ 1..SMALL => (FIRST as usize) << (small - 1),
                _ => SEGMENT,
            };
            (0..size).map(|_| Line::new()).collect()
        });
        Some(lines)
    }
}

/// The segment of a line, and where in there it is.
#[inline]
fn position(line: usize) -> (usize, usize) {
    if line >= SEGMENT {
        return (SMALL - 1 + line / SEGMENT, line % SEGMENT);
    }
    // The first segment has no upper bit of its own.
    match (line / FIRST as usize).checked_ilog2() {
        None => (0, line),
        Some(bit) => (bit as usize + 1, line - ((FIRST as usize) << bit)),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Lines, position};

    #[test]
    fn each_line_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        let mut size = 4;
        for line in 0..5000 {
            assert_eq!(position(line), expected, "line {line}");
            expected.1 += 1;
            if expected.1 == size {
                expected = (expected.0 + 1, 0);
                size = if line < 4 { 4 } else { (size * 2).min(1024) };
            }
        }
    }

    #[test]
    fn lines_are_there_up_to_the_most_that_there_may_be() {
        let lines = Lines::new(2048);
        for count in 4..2048 {
            assert!(lines.next().is_some());
            lines.count_next();
            assert!(lines.get(count).is_some());
        }
        assert!(lines.next().is_none());
    }
}
