//! Keys as tables know them: hashed with a seed.

use super::folded::Folded;
use crate::key::Key;
use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
};

/// A key as the table knows it: a seeded 64-bit hash of its bytes. The key itself is not kept.
///
/// With n keys, the chance that any two share an entry is about n² / 2⁶⁵ for each eight bytes of a
/// key: one in four million for three million keys that are eight bytes long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fingerprint(pub(in crate::store) u64);

impl Fingerprint {
    /// Stands for all the keys that found the table full; and for one key of 2⁶⁴, which shares their entry.
    pub(crate) const OVERFLOW: Self = Self(0);

    /// The hash.
    #[inline]
    pub(crate) fn get(self) -> u64 {
        self.0
    }

    /// That of a key, by this seed.
    #[inline]
    pub(crate) fn of(seed: &Seed, key: &(impl Key + ?Sized)) -> Self {
        let mut hash = seed.hash_of();
        key.write(&mut |bytes| hash.write(bytes));
        Self(hash.finish())
    }
}

/// What the fingerprints of a table depend on, so that nobody can tell which keys have the same: 128
/// random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(pub(in crate::store) u64, pub(in crate::store) u64);

impl Seed {
    /// One that nobody knows.
    pub(crate) fn random() -> Self {
        // The standard library draws its own from the system; what it makes of two numbers tells
        // nothing of that seed, nor of the other number.
        let random = RandomState::new();
        Self(random.hash_one(0_u64), random.hash_one(1_u64))
    }

    /// For checksums: the first digits of pi, as a key of few bits would mix but little.
    pub(in crate::store) const KNOWN: Self = Self(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);

    /// The hash of all these bytes.
    pub(in crate::store) fn hash(self, parts: &[&[u8]]) -> u64 {
        let mut hash = self.hash_of();
        parts.iter().for_each(|part| hash.write(part));
        hash.finish()
    }

    /// The hash of no bytes yet.
    #[inline(always)]
    fn hash_of(self) -> Folded {
        Folded::new(self.0, self.1)
    }
}

/// Whoever reads a log does not learn the seed.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        // Maps choose a place by the lowest bits, which are the least mixed here, and tell keys apart by the upper
        // seven. So both are bits above those of the shard, which all its keys have in common.
        self.0 = fingerprint.rotate_right(48);
    }
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Seed};

    #[test]
    fn the_seed_decides_about_the_fingerprint_of_a_key() {
        let seed = Seed::random();
        assert_eq!(Fingerprint::of(&seed, "alice"), Fingerprint::of(&seed, "alice"));
        for other in [Seed::random(), Seed(seed.0, !seed.1), Seed(!seed.0, seed.1)] {
            assert_ne!(Fingerprint::of(&seed, "alice"), Fingerprint::of(&other, "alice"));
        }
    }

    /// Worked out by other means than this code.
    #[test]
    fn keys_are_hashed_the_same_on_all_machines() {
        let seed = Seed(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let bytes: [u8; 15] = std::array::from_fn(|index| index as u8);
        let whole = Fingerprint::of(&seed, &bytes);
        assert_eq!(whole, Fingerprint(0x7faa_1f70_07a7_6c10));
        let (first, second): ([u8; 4], [u8; 11]) =
            (std::array::from_fn(|index| bytes[index]), std::array::from_fn(|i| bytes[i + 4]));
        assert_eq!(Fingerprint::of(&seed, &(first, second)), whole);
    }
}
