//! Limits for each key that are asked in a loop, without a call through a pointer for each decision.

use std::{hint::black_box, time::Duration};

/// A limit for each key.
pub trait Keyed<K>: Send + Sync {
    /// Asks about these keys, and returns how many were let through.
    fn ask_about(&self, keys: &[K]) -> usize;

    /// Asks about one key.
    fn ask(&self, key: &K) -> bool;
}

/// Limits that are asked by calling a function.
pub struct Asked<F>(pub F);

impl<K, F: Fn(&K) -> bool + Send + Sync> Keyed<K> for Asked<F> {
    #[inline(never)]
    fn ask_about(&self, keys: &[K]) -> usize {
        keys.iter().filter(|key| (black_box(self).0)(key)).count()
    }

    fn ask(&self, key: &K) -> bool {
        (self.0)(key)
    }
}

/// Those limits.
pub fn keyed<K>(ask: impl Fn(&K) -> bool + Send + Sync + 'static) -> Box<dyn Keyed<K>> {
    Box::new(Asked(ask))
}

/// What is compared.
pub struct Row<K> {
    pub name: &'static str,
    /// Limits that were never asked and always let through, for [`PERIOD`] and [`BURST`], with room
    /// for so many keys.
    pub make: fn(usize) -> Box<dyn Keyed<K>>,
}

/// How long a key that was asked about once is not like a new one: longer than a run.
pub const PERIOD: Duration = Duration::from_secs(600);

/// How often one may ask about a key: more often than in a run.
pub const BURST: u32 = 10_000_000;
