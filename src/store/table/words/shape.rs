//! Where a key may be, given how many lines there are.

use std::hint::select_unpredictable;

/// How many shards there are, each with a line in every row.
pub(crate) const SHARDS: usize = 16;

/// These bits of what chooses a line are its shard.
const SHARD: u32 = SHARDS as u32 - 1;

/// How many rows there are at first.
pub(super) const FIRST: u32 = 4;

/// How many lines there are: some rows of them, one line for each shard. It tells the two lines of a key.
///
/// The table grows by linear hashing, one row at a time, so that growth never pauses: of the bits of
/// a key, as many count as make a number of lines that is there already, or will be once the rows of
/// this round are split. The lowest of them are the shard, so a key stays in the lines of its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    lines: u32,
    /// Those that count of the bits of a key, once the rows of this round are split.
    bits: u32,
}

impl Shape {
    /// So many rows, at least one.
    pub(super) const fn of(rows: u32) -> Self {
        let lines = rows * SHARDS as u32;
        Self { lines, bits: u32::MAX >> (lines - 1).leading_zeros() }
    }

    /// What was [packed](Self::packed).
    #[inline(always)]
    pub(super) const fn unpacked(packed: u64) -> Self {
        // Its upper and its lower half.
        Self { lines: (packed >> 32) as u32, bits: packed as u32 }
    }

    /// In one word.
    pub(super) const fn packed(self) -> u64 {
        (self.lines as u64) << 32 | self.bits as u64
    }

    /// How many rows there are: the number of the next one.
    pub(super) const fn rows(self) -> usize {
        self.lines as usize / SHARDS
    }

    /// The shard of a key.
    #[inline(always)]
    pub(super) const fn shard(key: u64) -> usize {
        (first(key) & SHARD) as usize
    }

    /// The line that is preferred.
    #[inline(always)]
    pub(super) fn first(self, key: u64) -> usize {
        self.line(first(key))
    }

    /// The other line, of the same shard.
    #[inline(always)]
    pub(super) fn second(self, key: u64) -> usize {
        self.line(second(key) & !SHARD | first(key) & SHARD)
    }

    /// The lines in which the key may be, in the order in which they are filled.
    #[inline(always)]
    pub(super) fn lines(self, key: u64) -> [usize; 2] {
        [self.first(key), self.second(key)]
    }

    /// The row that is split next, into itself and the one with which there is one more.
    pub(super) const fn splits(self) -> usize {
        let rows = self.rows();
        rows & !(1 << rows.ilog2())
    }

    /// One row more.
    pub(super) const fn grown(self) -> Self {
        Self::of(self.rows() as u32 + 1)
    }

    #[inline(always)]
    fn line(self, part: u32) -> usize {
        let line = part & self.bits;
        // Which it is, nobody could predict.
        select_unpredictable(line < self.lines, line, line & (self.bits >> 1)) as usize
    }
}

/// What chooses the line that is preferred: the upper bits of a key. There are never so many lines that the highest
/// two count, by which slots are chosen.
#[inline(always)]
const fn first(key: u64) -> u32 {
    (key >> 34) as u32
}

/// What chooses the other line, but for the shard: the twenty bits below those. There are never so many rows that
/// more would count; and of all bits the lowest are the least mixed.
#[inline(always)]
const fn second(key: u64) -> u32 {
    (key >> 10) as u32
}

/// The line of a shard in a row.
pub(super) const fn line_of(row: usize, shard: usize) -> usize {
    row * SHARDS + shard
}

/// The row that a line is in.
pub(super) const fn row_of(line: usize) -> usize {
    line / SHARDS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{SHARDS, Shape, line_of, row_of};

    #[test]
    fn a_split_moves_keys_of_one_row_to_the_new_one_and_no_others() {
        for rows in 2..70 {
            let (before, after) = (Shape::of(rows), Shape::of(rows).grown());
            let mut moved = 0;
            for part in 0..16_384_u32 {
                let (from, to) = (before.line(part), after.line(part));
                assert!(row_of(from) < rows as usize);
                if from != to {
                    assert_eq!((row_of(from), row_of(to)), (before.splits(), rows as usize));
                    moved += 1;
                }
            }
            assert!(moved > 0, "{rows} rows");
        }
    }

    #[test]
    fn a_key_has_two_lines_of_different_bits_in_its_shard() {
        let shape = Shape::of(1 << 20);
        assert_eq!(shape.lines(0x0000_0094_0001_c000), [0x25, 0x75]);
        assert_eq!(shape.lines(0xc000_00d4_0000_3fff), [0x35, 0x05]);
        for rows in 1..70 {
            for key in (1..100).map(|key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
                let shards = Shape::of(rows).lines(key).map(|line| line % SHARDS);
                assert_eq!(shards, [Shape::shard(key); 2]);
            }
        }
        assert_eq!(line_of(3, 5), 53);
    }
}
