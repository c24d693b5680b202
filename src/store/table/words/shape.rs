//! Where a key may be, given how many lines there are.

use std::hint::select_unpredictable;

/// How many lines there are at first.
pub(super) const FIRST: u32 = 4;

/// How many lines there are: at least two. It tells the two lines of a key.
///
/// The table grows by linear hashing, one line at a time, so that growth never pauses: of the bits of
/// a key, as many count as make a number of lines that is there already, or will be once the lines of
/// this round are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    count: u32,
    /// Those that count of the bits of a key, once the lines of this round are split.
    bits: u32,
}

impl Shape {
    pub(super) const fn of(count: u32) -> Self {
        Self { count, bits: u32::MAX >> ((count - 1) | 1).leading_zeros() }
    }

    /// What was [packed](Self::packed).
    #[inline(always)]
    pub(super) const fn unpacked(packed: u64) -> Self {
        // Its upper and its lower half.
        Self { count: (packed >> 32) as u32, bits: packed as u32 }
    }

    /// In one word.
    pub(super) const fn packed(self) -> u64 {
        (self.count as u64) << 32 | self.bits as u64
    }

    /// How many lines there are.
    pub(super) const fn count(self) -> usize {
        self.count as usize
    }

    /// The line that is preferred: by the lower half of the key.
    #[inline(always)]
    pub(super) fn first(self, key: u64) -> usize {
        // The upper bits are left out on purpose.
        self.line(key as u32)
    }

    /// The other line: by the upper 28 bits. Those between choose the shard.
    #[inline(always)]
    pub(super) fn second(self, key: u64) -> usize {
        self.line((key >> 36) as u32)
    }

    /// The lines in which the key may be, in the order in which they are filled.
    #[inline(always)]
    pub(super) fn lines(self, key: u64) -> [usize; 2] {
        [self.first(key), self.second(key)]
    }

    /// The line that is split next, into itself and the one with which there is one more.
    pub(super) const fn splits(self) -> usize {
        (self.count & !(1 << self.count.ilog2())) as usize
    }

    /// One line more.
    pub(super) const fn grown(self) -> Self {
        Self::of(self.count.saturating_add(1))
    }

    #[inline(always)]
    fn line(self, part: u32) -> usize {
        let line = part & self.bits;
        // Which it is, nobody could predict.
        select_unpredictable(line < self.count, line, line & (self.bits >> 1)) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Shape;

    #[test]
    fn a_split_moves_keys_of_one_line_to_the_new_one_and_no_others() {
        for lines in 2..300 {
            let (before, after) = (Shape::of(lines), Shape::of(lines).grown());
            let mut moved = 0;
            for part in 0..4096_u32 {
                let (from, to) = (before.line(part), after.line(part));
                assert!(from < lines as usize);
                if from != to {
                    assert_eq!((from, to), (before.splits(), lines as usize));
                    moved += 1;
                }
            }
            assert!(moved > 0, "{lines} lines");
        }
    }

    #[test]
    fn a_key_has_two_lines_of_different_bits() {
        let shape = Shape::of(1 << 20);
        assert_eq!(shape.lines(0x0000_0070_0000_0005), [5, 7]);
        assert_eq!(shape.lines(0x0000_000f_0000_0005), [5, 0]);
    }
}
