//! The lines of a table, which come in segments, so that none has to move when there are more.

use super::{
    TAKEN,
    pair::Line,
    shape::{FIRST, Shape},
};
use crate::sync::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// How many segments a table may have, of which a large one needs at least half once it is full: few, so
/// that where they are stays in the cache, and each one small beside what there is already.
const SEGMENTS: usize = 64;

/// For so many lines there is room at most, however many keys there may be: 2²⁰, or 64 MiB, for three
/// million keys a shard.
const MOST: usize = 1 << 20;

/// How many lines of the next segment are made at a time.
const AHEAD: usize = 4;

#[derive(Debug)]
pub(super) struct Lines {
    shape: AtomicU64,
    /// Each segment has two to this many lines.
    bits: u32,
    /// These bits of a line's number say where in its segment it is.
    offset: usize,
    segments: Box<[OnceLock<Box<[Line]>>; SEGMENTS]>,
}

/// The lines of the segment that comes next: those that are made already. Whoever needs a line more
/// makes a few of them, so that nobody waits for a whole segment.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<Line>);

impl Lines {
    /// Room for this many keys. Only the lines of the first segment are made.
    pub(super) fn new(most_keys: usize) -> Self {
        let most = most_keys.div_ceil(TAKEN).clamp(FIRST as usize, MOST);
        let bits = most.div_ceil(SEGMENTS).max(FIRST as usize).next_power_of_two().ilog2();
        let lines = Self {
            shape: AtomicU64::new(Shape::of(FIRST).packed()),
            bits,
            offset: (1 << bits) - 1,
            segments: Box::new([const { OnceLock::new() }; SEGMENTS]),
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
        self.segments[segment].get()?.get(offset)
    }

    /// The keeper's: one of the lines that count.
    pub(super) fn line(&self, line: usize) -> &Line {
        self.get(line).expect("lines are made before they count")
    }

    /// The keeper's: makes the line after the last, which does not count yet. `None` when there is room
    /// for no more.
    pub(super) fn next(&self, ahead: &mut Ahead) -> Option<&Line> {
        let next = self.shape().count();
        if next >> self.bits >= SEGMENTS {
            return None;
        }
        let (segment, offset) = self.position(next);
        if offset == 0 {
            self.make(segment, ahead);
        }
        // Not before they will be needed soon, as they take memory.
        if self.size() - offset <= self.size().div_ceil(AHEAD) && segment + 1 < SEGMENTS {
            ahead.make(AHEAD, self.size());
        }
        self.get(next)
    }

    /// The keeper's: the line after the last counts from now on.
    pub(super) fn count_next(&self) {
        self.shape.store(self.shape().grown().packed(), Ordering::Release);
    }

    fn make(&self, segment: usize, ahead: &mut Ahead) {
        self.segments[segment].get_or_init(|| {
            ahead.make(self.size(), self.size());
            std::mem::take(&mut ahead.0).into_boxed_slice()
        });
    }

    /// How many lines a segment has.
    fn size(&self) -> usize {
        1 << self.bits
    }

    /// The segment of a line, and where in there it is.
    #[inline(always)]
    fn position(&self, line: usize) -> (usize, usize) {
        // No line that counts has a number above the last one's.
        ((line >> self.bits) % SEGMENTS, line & self.offset)
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
    use super::{Ahead, Lines, SEGMENTS};

    #[test]
    fn each_line_has_a_place_of_its_own() {
        let lines = Lines::new(3 * SEGMENTS * 8);
        let places: Vec<_> = (0..8 * SEGMENTS).map(|line| lines.position(line)).collect();
        let expected =
            (0..SEGMENTS).flat_map(|segment| (0..8).map(move |offset| (segment, offset)));
        assert!(expected.eq(places));
    }

    #[test]
    fn there_is_room_for_the_most_lines_and_an_end_to_it() {
        for most in [100, 256, 257, 1000, 2048] {
            let (lines, mut ahead) = (Lines::new(3 * most), Ahead::default());
            let room = SEGMENTS * lines.size();
            assert!((most..=256.max(2 * most)).contains(&room), "{room} for {most}");
            for count in 4..room {
                assert!(lines.next(&mut ahead).is_some(), "{count} of {room}");
                lines.count_next();
                assert!(lines.get(count).is_some());
            }
            assert!(lines.next(&mut ahead).is_none());
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
