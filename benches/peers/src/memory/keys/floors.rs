//! The least that a decision about a key can cost: finding it in a map that nobody else changes.

use super::{
    keyed::{BURST, Keyed, PERIOD, keyed},
    kind::Kind,
};
use crate::memory::one::{Time, quanta, take};
use std::sync::atomic::AtomicU64;

/// Reading the key, and nothing else but what its hash costs.
pub fn hash<K: Kind>() -> Box<dyn Keyed<K>> {
    let hasher = ahash::RandomState::new();
    keyed(move |key: &K| hasher.hash_one(key) != 0)
}

/// All keys are there already; nothing is locked. It has no room for more.
pub fn prefilled<K: Kind>(keys: u32) -> Box<dyn Keyed<K>> {
    let words = (0..keys).map(|number| (K::number(number), AtomicU64::new(0)));
    let map: hashbrown::HashMap<K, AtomicU64, ahash::RandomState> = words.collect();
    let time = quanta();
    let period = PERIOD.as_nanos() as u64;
    let most = period * u64::from(BURST);
    keyed(move |key: &K| map.get(key).is_some_and(|next| take(next, time.now(), period, most)))
}
