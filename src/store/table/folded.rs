//! A hash of bytes that is cheap for short keys.

/// Hashes bytes that come in pieces; where a piece ends means nothing.
///
/// The bytes are taken as words of 64 bits, the lowest first. With a secret state s and a secret
/// key k, 64 random bits each, every word w makes `s = fold(s ^ w, k)`, where `fold` multiplies
/// two words and combines both halves of the product with them. A last word that is not whole is
/// folded with a key of its own for each length, and in the end the bits are mixed without losing
/// any. So it is one multiplication for each eight bytes, and one more. The lowest bits are the least
/// mixed.
///
/// The output is the same on all machines and has to stay the same in all versions, as snapshots
/// keep it. Quick hashes that are well known and fold like this one (ahash, foldhash) may change
/// what they make of a key; rapidhash, which does not, takes all bytes in one piece, and to
/// copy them together takes longer than to hash them. In nanoseconds, one key after another:
///
/// | | this one | rapidhash | SipHash-1-3 |
/// |---|---|---|---|
/// | a number of 8 bytes | 1.4 | 1.7 | 6.0 |
/// | an IPv6 address | 3.7 | 9.8 | 8.4 |
/// | a text of 12 bytes | 4.4 | 13.1 | 8.5 |
/// | a text of 100 bytes | 14.5 | 16.8 | 26.7 |
///
/// # What it is good for
///
/// Two keys that share a fingerprint share a limit, and nobody else comes to harm. By chance that
/// happens to a pair of keys with a probability of 2⁻⁶⁴ for each word from the first in which they
/// differ. Who wants it to happen has to find such a pair without knowing s and k, of which no
/// answer tells anything, and for no pair it is known to happen with many s and k: what becomes of
/// the difference of two words depends on all bits of k. In the same hash with words of 10 to
/// 13 bits, where all of them can be tried, the worst difference is 6 to 9 times as likely to vanish
/// as by chance. It is not a cryptographic hash: who saw fingerprints could work out k. So they stay
/// inside, and the snapshots that hold them are to be kept secret anyway.
#[derive(Clone, Copy)]
pub(super) struct Folded {
    state: u64,
    key: u64,
    /// Bytes that are not a whole word yet, the first of them lowest.
    pending: u64,
    /// How many bits they are: a multiple of 8 below 64.
    bits: u32,
}

impl Folded {
    #[inline(always)]
    pub(super) fn new(state: u64, key: u64) -> Self {
        Self { state, key, pending: 0, bits: 0 }
    }

    #[inline(always)]
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.add(u64::from_le_bytes(*word), u64::BITS);
        }
        // Less than eight bytes are less than 64 bits.
        self.add(short_word(rest), 8 * rest.len() as u32);
    }

    /// Takes so many bits, 64 at most; those above them are zero.
    #[inline(always)]
    fn add(&mut self, word: u64, bits: u32) {
        self.pending |= word << self.bits;
        self.bits += bits;
        if let Some(left) = self.bits.checked_sub(u64::BITS) {
            self.state = fold(self.state ^ self.pending, self.key);
            // In two steps, as all 64 may have been taken.
            self.pending = (word >> 1) >> (bits - left - 1);
            self.bits = left;
        }
    }

    #[inline(always)]
    pub(super) fn finish(self) -> u64 {
        let state = match self.bits {
            0 => self.state,
            bits => fold(self.state ^ self.pending, self.key ^ u64::from(bits)),
        };
        mix(state)
    }
}

/// Less than eight bytes as a word, the first of them lowest.
#[inline(always)]
fn short_word(bytes: &[u8]) -> u64 {
    let at = |index: usize| bytes.get(index).map_or(0, |byte| u64::from(*byte) << (8 * index));
    match (bytes.first_chunk(), bytes.last_chunk()) {
        // Four to seven: what both hold is the same in both.
        (Some(first), Some(last)) => {
            let beyond_first = 8 * (bytes.len() - size_of::<u32>());
            u64::from(u32::from_le_bytes(*first))
                | u64::from(u32::from_le_bytes(*last)) << beyond_first
        }
        // Three at most.
        _ => at(0) | at(1) | at(2),
    }
}

/// Multiplies, and combines both halves of the product with what was multiplied: so a zero, which
/// nobody can aim at, would not swallow the other one. The last by a sum: with bits that differ or not and
/// nothing else, a word and its complement would be the same forty times as often as others.
#[inline(always)]
fn fold(word: u64, key: u64) -> u64 {
    let product = u128::from(word) * u128::from(key);
    // Its lower and its upper half.
    (word ^ key ^ product as u64).wrapping_add((product >> 64) as u64)
}

/// Spreads what differs over the upper bits, by which lines, slots and shards are chosen, and can be undone, so that
/// nothing becomes the same by it. A product carries upwards alone, so what was above goes below before. The factor is
/// odd, 2⁶⁴ divided by the golden ratio.
///
/// Neither can be left out. What is folded once is spread evenly for most secret keys and very unevenly for a few: of
/// 50,000 numbers that count up, 280 then find no room in the table on average, and 6,000 with one key of 24; and of
/// numbers that differ in their upper bytes 236 without the order of the bytes, and 13,000 with one key of 60. With
/// both it is one, as with random numbers.
#[inline(always)]
fn mix(word: u64) -> u64 {
    word.swap_bytes().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::{Folded, fold, mix};

    const STATE: u64 = 0x0706_0504_0302_0100;
    const KEY: u64 = 0x0f0e_0d0c_0b0a_0908;

    fn hash(pieces: &[&[u8]]) -> u64 {
        let mut hash = Folded::new(STATE, KEY);
        pieces.iter().for_each(|piece| hash.write(piece));
        hash.finish()
    }

    /// As the documentation says it, of all bytes at once.
    fn naive(bytes: &[u8]) -> u64 {
        mix(bytes.chunks(8).fold(STATE, |state, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let bits = 8 * chunk.len() as u64 % 64;
            fold(state ^ u64::from_le_bytes(word), KEY ^ bits)
        }))
    }

    fn bytes(length: u8) -> Vec<u8> {
        (0..length).map(|index| index.wrapping_mul(151) ^ 0xa5).collect()
    }

    #[test]
    fn where_a_piece_ends_means_nothing() {
        for length in 0..40 {
            let bytes = bytes(length);
            let expected = naive(&bytes);
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(hash(&pieces), expected, "{length} bytes, {first}, {second}");
                }
            }
            assert_eq!(hash(&bytes.chunks(1).collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn each_bit_and_each_zero_at_the_end_counts() {
        let mut hashes = std::collections::HashSet::new();
        for length in 0..20 {
            let zeros = vec![0; length];
            assert!(hashes.insert(hash(&[&zeros])), "{length} zeros");
            for bit in 0..8 * length {
                let mut bytes = zeros.clone();
                bytes[bit / 8] |= 1 << (bit % 8);
                assert!(hashes.insert(hash(&[&bytes])), "bit {bit} of {length} bytes");
            }
        }
    }

    /// Worked out by other means than this code.
    #[test]
    fn the_hash_is_the_same_in_all_versions() {
        let known = [0, 5, 8, 17, 33].map(|length| hash(&[&bytes(length)]));
        assert_eq!(
            known,
            [
                0x75e7_f1b1_fa5a_e293,
                0x6654_6bd2_4da1_57b6,
                0x3de3_c3a7_a417_bd8c,
                0x58f5_2852_8cfd_7d69,
                0x9520_6f31_4b7b_645e
            ]
        );
    }
}
