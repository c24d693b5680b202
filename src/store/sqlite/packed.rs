//! Records in few bytes, so that a page of the file has many of them.
//!
//! Most of what is in a record are numbers of 8 bytes, zero or small. A batch about many keys writes
//! nearly every page of the table to the log, which is the largest part of what it costs.

/// How many bytes are packed together: a number, little-endian.
const WORD: usize = 8;

/// Without the zeros at the end of each word. Before it stands how long it was, in the high half of a
/// byte, and how much of it is left.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(bytes.len() + bytes.len().div_ceil(WORD));
    for word in bytes.chunks(WORD) {
        let left = word.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Neither is more than 8.
        packed.push((word.len() << 4 | left) as u8);
        packed.extend_from_slice(&word[..left]);
    }
    packed
}

/// What was packed; nothing where these bytes are not of that kind.
pub(super) fn unpack(mut packed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(packed.len() * 2);
    while let Some((lengths, rest)) = packed.split_first() {
        let (length, left) = (usize::from(lengths >> 4), usize::from(lengths & 0xF));
        let zeros = length.checked_sub(left).filter(|_| (1..=WORD).contains(&length))?;
        let (word, rest) = rest.split_at_checked(left)?;
        bytes.extend_from_slice(word);
        bytes.resize(bytes.len() + zeros, 0);
        packed = rest;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};

    #[test]
    fn what_is_unpacked_is_what_was_packed() {
        let bytes =
            [0, 0, 1, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 9, 0, 0, 0, 0, 0, 5];
        for end in 0..=bytes.len() {
            assert_eq!(unpack(&pack(&bytes[..end])).as_deref(), Some(&bytes[..end]), "{end}");
        }
    }

    #[test]
    fn zeros_at_the_end_of_a_word_take_no_room() {
        let words = [1_000_000_000_u64, 0, 0, 1 << 60].map(u64::to_le_bytes).concat();
        assert_eq!(pack(&words).len(), 5 + 1 + 1 + 9);
    }

    #[test]
    fn what_nobody_packed_is_not_unpacked() {
        // A word of no bytes, one of too many, more left than there was, an end that is missing.
        for bytes in [&[0x00][..], &[0x90], &[0x12, 1, 1], &[0x88, 1, 2]] {
            assert_eq!(unpack(bytes), None, "{bytes:?}");
        }
    }
}
