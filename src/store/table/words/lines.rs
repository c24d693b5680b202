//! The lines of a table, one after another.

use super::{
    pair::{Line, WORDS},
    shape::{FIRST, SHARDS, Shape, line_of},
};
use crate::sync::{AtomicU64, Ordering, zeros};
use std::iter;

/// For so many rows there is room at most, however many keys there may be: 2²⁰, or 1 GiB, for fifty million
/// keys; where addresses have 32 bits, 64 MiB for three million.
const MOST: usize = if usize::BITS < u64::BITS { 1 << 16 } else { 1 << 20 };

/// How many bytes the processor fetches at once: those of a line, where lines begin at a multiple of it.
const FETCHED: usize = 64;

/// There is room for all lines from the beginning, so that none has to move when there are more, and a line
/// is found by its number alone. It is the system's, which makes memory as somebody writes there: as a rule lines
/// that do not count yet take none. Memory that the program had before, and the allocator keeps, is zeroed at once.
#[derive(Debug)]
pub(super) struct Lines {
    shape: AtomicU64,
    words: Box<[AtomicU64]>,
    /// Where the first line is: at the beginning of what the processor fetches at once.
    first: usize,
}

impl Lines {
    /// Room for so many rows, or for as many as the system has.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(FIRST as usize, MOST);
        let half = |rows: &usize| Some(rows / 2).filter(|half| *half >= FIRST as usize);
        let words = |rows| WORDS * line_of(rows, 0) + WORDS - 1;
        let mut sizes = iter::successors(Some(most), half).map(words);
        let words = sizes.find_map(zeros).expect("there is memory for four rows");
        // Where that cannot be had, lines straddle what is fetched.
        let first = words.as_ptr().align_offset(FETCHED).min(WORDS - 1);
        Self { shape: AtomicU64::new(Shape::of(FIRST).packed()), words, first }
    }

    /// How many lines count for who looks for a key. The keepers follow.
    #[inline(always)]
    pub(super) fn shape(&self) -> Shape {
        Shape::unpacked(self.shape.load(Ordering::Relaxed))
    }

    /// One row more, if there were as many as this and there is room.
    pub(super) fn grow(&self, shape: Shape) {
        if self.get(line_of(shape.rows(), SHARDS - 1)).is_some() {
            let (before, after) = (shape.packed(), shape.grown().packed());
            // Another keeper may have been faster.
            let _ =
                self.shape.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, line: usize) -> Option<Line<'_>> {
        let words = self.words.get(self.first + WORDS * line..)?;
        words.first_chunk().map(Line::new)
    }

    /// The keeper's: one of the lines that count.
    pub(super) fn line(&self, line: usize) -> Line<'_> {
        self.get(line).expect("there is room for all lines that count")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{FETCHED, Lines, MOST};

    #[test]
    fn lines_are_side_by_side_and_each_is_fetched_at_once() {
        let lines = Lines::new(100);
        let address = |line| lines.line(line).address();
        assert_eq!(address(0) % FETCHED, 0);
        for line in 1..100 {
            assert_eq!(address(line), address(line - 1) + FETCHED);
        }
    }

    #[test]
    fn there_is_room_for_the_most_rows_and_an_end_to_it() {
        for (asked, most) in [(0, 4), (4, 4), (5, 5), (1000, 1000), (usize::MAX, MOST)] {
            let lines = Lines::new(asked);
            for rows in 4..most {
                assert_eq!(lines.shape().rows(), rows);
                lines.grow(lines.shape());
            }
            lines.grow(lines.shape());
            assert_eq!(lines.shape().rows(), most);
        }
    }

    #[test]
    fn of_two_who_want_the_same_row_one_makes_it() {
        let lines = Lines::new(100);
        let shape = lines.shape();
        lines.grow(shape);
        lines.grow(shape);
        assert_eq!(lines.shape().rows(), 5);
    }
}
