//! The least that a decision about a key can cost: finding it in a map that nobody else changes.

use super::{
    keyed::{BURST, Keyed, PERIOD, keyed},
    kind::Kind,
};
use crate::memory::one::{Time, quanta, take};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::atomic::AtomicU64,
};

/// Reading the key, and nothing else but what its hash costs.
pub fn hash<K: Kind>() -> Box<dyn Keyed<K>> {
    let hasher = ahash::RandomState::new();
    keyed(move |key: &K| hasher.hash_one(key) != 0)
}

/// The hashes of all keys are there already, and the keys themselves are not kept; nothing is locked. It has no room
/// for more.
pub fn prefilled<K: Kind>(keys: u32) -> Box<dyn Keyed<K>> {
    let hasher = ahash::RandomState::new();
    let words = (0..keys).map(|number| (hasher.hash_one(K::number(number)), AtomicU64::new(0)));
    let map: HashMap<u64, AtomicU64, BuildHasherDefault<Hashed>> = words.collect();
    let time = quanta();
    let period = PERIOD.as_nanos() as u64;
    let most = period * u64::from(BURST);
    keyed(move |key: &K| {
        let word = map.get(&hasher.hash_one(key));
        word.is_some_and(|next| take(next, time.now(), period, most))
    })
}

/// The hash of what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a hash is written as a number");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
