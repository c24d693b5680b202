//! Random numbers that are the same ones for the same seed.

use std::{
    env,
    hash::{BuildHasher, RandomState},
};

/// The seed of all random cases, as `scripts/test` sets it; another one each time where nobody does.
pub(crate) fn seed() -> u64 {
    match env::var("PROPTEST_RNG_SEED") {
        Ok(seed) => seed.parse::<u32>().expect("PROPTEST_RNG_SEED is a number").into(),
        Err(_) => RandomState::new().hash_one(()) >> 32,
    }
}

/// The generator splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % bound
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}
