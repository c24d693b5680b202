//! The lines of a table, which come in segments, so that none has to move when there are more.

use super::{
    TAKEN,
    pair::Line,
    shape::{FIRST, Shape},
};
use crate::sync::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// About how many segments a table has once it is full: few, so that where they are stays in the
/// cache, and each one small beside what there is already.
const SEGMENTS: usize = 32;

/// At most so many lines are there, however many keys there may be: 2²⁰, or 64 MiB, for three million
/// keys a shard.
const MOST: usize = 1 << 20;

/// How many lines of the next segment are made at a time.
const AHEAD: usize = 4;

#[derive(Debug)]
pub(super) struct Lines {
    shape: AtomicU64,
    /// Each segment has two to this many lines.
    bits: u32,
    segments: Box<[OnceLock<Box<[Line]>>]>,
}

/// The lines of the segment that comes next: those that are made already. Whoever needs a line more
/// makes a few of them, so that nobody waits for a whole segment.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<Line>);

impl Lines {
    /// Room for this many keys. Only the lines of the first segment are made.
    pub(super) fn new(most_keys: usize) -> Self {
        let most = most_keys.div_ceil(TAKEN).clamp(FIRST as usize, MOST);
        let bits = (most / SEGMENTS).max(FIRST as usize).ilog2();
        let lines = Self {
            shape: AtomicU64::new(Shape::of(FIRST).packed()),
            bits,
            segments: (0..most.div_ceil(1 << bits)).map(|_| OnceLock::new()).collect(),
        };
        lines.make(0, &mut Ahead::default());
        lines
    }

    #[inline(always)]
    pub(super) fn shape(&self) -> Shape {
        // Whoever sees that a line counts sees what is in it.
        Shape::unpacked(self.shape.load(Ordering::Acquire))
    }

    #[inline(always)]
    pub(super) fn get(&self, line: usize) -> Option<&Line> {
        let (segment, offset) = self.position(line);
        self.segments.get(segment)?.get()?.get(offset)
    }

    /// Two of the lines that count.
    #[inline(always)]
    pub(super) fn both(&self, lines: [usize; 2]) -> Option<[&Line; 2]> {
        // Read once, which the compiler does not see while it waits for a segment.
        let (segments, bits) = (&*self.segments, self.bits);
        let get = |line: usize| segments.get(line >> bits)?.get()?.get(line & ((1 << bits) - 1));
        Some([get(lines[0])?, get(lines[1])?])
    }

    /// The keeper's: one of the lines that count.
    pub(super) fn line(&self, line: usize) -> &Line {
        self.get(line).expect("lines are made before they count")
    }

    /// The keeper's: makes the line after the last, which does not count yet. `None` when there may
    /// be no more.
    pub(super) fn next(&self, ahead: &mut Ahead) -> Option<&Line> {
        let next = self.shape().count();
        let (segment, offset) = self.position(next);
        if offset == 0 {
            self.make(segment, ahead);
        }
        // Not before they will be needed soon, as they take memory.
        if self.size() - offset <= self.size().div_ceil(AHEAD) && segment + 1 < self.segments.len()
        {
            ahead.make(AHEAD, self.size());
        }
        self.get(next)
    }

    /// The keeper's: the line after the last counts from now on.
    pub(super) fn count_next(&self) {
        self.shape.store(self.shape().grown().packed(), Ordering::Release);
    }

    fn make(&self, segment: usize, ahead: &mut Ahead) {
        if let Some(segment) = self.segments.get(segment) {
            segment.get_or_init(|| {
                ahead.make(self.size(), self.size());
                std::mem::take(&mut ahead.0).into_boxed_slice()
            });
        }
    }

    /// How many lines a segment has.
    fn size(&self) -> usize {
        1 << self.bits
    }

    /// The segment of a line, and where in there it is.
    #[inline(always)]
    fn position(&self, line: usize) -> (usize, usize) {
        (line >> self.bits, line & (self.size() - 1))
    }
}

impl Ahead {
    /// Makes some lines more of a segment of this size.
    fn make(&mut self, lines: usize, size: usize) {
        let lines = lines.min(size - self.0.len());
        self.0.reserve_exact(size - self.0.len());
        self.0.extend((0..lines).map(|_| Line::new()));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Ahead, Lines};

    #[test]
    fn each_line_has_a_place_of_its_own() {
        let lines = Lines::new(3 * 32 * 8);
        let places: Vec<_> = (0..256).map(|line| lines.position(line)).collect();
        let expected = (0..32).flat_map(|segment| (0..8).map(move |offset| (segment, offset)));
        assert!(expected.eq(places));
    }

    #[test]
    fn lines_are_there_up_to_the_most_that_there_may_be() {
        for most in [100, 1000, 2048] {
            let (lines, mut ahead) = (Lines::new(3 * most), Ahead::default());
            for count in 4..most {
                assert!(lines.next(&mut ahead).is_some(), "{count} of {most}");
                lines.count_next();
                assert!(lines.get(count).is_some());
            }
            let more = (0..lines.size()).filter(|_| {
                let is_there = lines.next(&mut ahead).is_some();
                lines.count_next();
                is_there
            });
            assert!(more.count() < lines.size());
        }
    }

    /// Whoever needs a line makes few more than that.
    #[test]
    fn no_segment_but_the_first_is_made_at_once() {
        let (lines, mut ahead) = (Lines::new(3 * 100_000), Ahead::default());
        let mut made = 0;
        for _ in 4..100_000 {
            let before = ahead.0.len();
            assert!(lines.next(&mut ahead).is_some());
            lines.count_next();
            made += ahead.0.len().saturating_sub(before);
            assert!(ahead.0.len() <= before + super::AHEAD);
            assert_eq!(ahead.0.capacity() % lines.size(), 0);
        }
        assert!(made >= 100_000 - 2 * lines.size());
    }
}
