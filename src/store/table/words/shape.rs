//! Where a key may be, given how many lines there are.

/// How many lines there are: at least two. It tells the two lines of a key.
///
/// The table grows by linear hashing, one line at a time, so that growth never pauses: of the bits of
/// a key, as many count as make a number of lines that is there already, or will be once the lines of
/// this round are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape(pub(super) u32);

impl Shape {
    /// The line that is preferred: by the lower half of the key.
    #[inline]
    pub(super) const fn first(self, key: u64) -> usize {
        // The upper bits are left out on purpose.
        self.line(key as u32)
    }

    /// The other line: by the upper 28 bits. Those between choose the shard.
    #[inline]
    pub(super) const fn second(self, key: u64) -> usize {
        self.line((key >> 36) as u32)
    }

    /// The lines in which the key may be, in the order in which they are filled.
    #[inline]
    pub(super) const fn lines(self, key: u64) -> [usize; 2] {
        [self.first(key), self.second(key)]
    }

    /// The other line of a key that is in this one.
    pub(super) const fn other(self, key: u64, line: usize) -> usize {
        let [first, second] = self.lines(key);
        if line == first { second } else { first }
    }

    /// The line that is split next, into itself and the one with which there is one more.
    pub(super) const fn splits(self) -> usize {
        (self.0 & !(1 << self.0.ilog2())) as usize
    }

    /// One line more.
    pub(super) const fn grown(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    #[inline]
    const fn line(self, part: u32) -> usize {
        let bits = u32::MAX >> ((self.0 - 1) | 1).leading_zeros();
        let line = part & bits;
        let line = if line < self.0 { line } else { line & (bits >> 1) };
        line as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Shape;

    #[test]
    fn a_split_moves_keys_of_one_line_to_the_new_one_and_no_others() {
        for lines in 2..300 {
            let (before, after) = (Shape(lines), Shape(lines).grown());
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
        let shape = Shape(1 << 20);
        assert_eq!(shape.lines(0x0000_0070_0000_0005), [5, 7]);
        assert_eq!(shape.lines(0x0000_000f_0000_0005), [5, 0]);
        assert_eq!([5, 7].map(|line| shape.other(0x0000_0070_0000_0005, line)), [7, 5]);
    }
}
