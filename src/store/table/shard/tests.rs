//! How many entries go under one lock.

use super::{AT_ONCE, BLOCKS_AT_ONCE, Left};
use crate::{
    meters::KeyMeter,
    nanos::Nanos,
    store::table::{Fingerprint, Keep, Seed, Table},
};

/// When it equals new, by the lock.
#[derive(Default)]
struct Entry(Option<Nanos>);

impl Keep<()> for Entry {
    fn new_at(&self, (): &()) -> Option<Nanos> {
        self.0
    }
}

/// The same in a word.
#[derive(Default)]
struct InAWord(Nanos);

impl Keep<()> for InAWord {
    fn new_at(&self, (): &()) -> Option<Nanos> {
        Some(self.0)
    }

    fn has_words() -> bool {
        true
    }

    fn word(&self) -> Option<Nanos> {
        Some(self.0)
    }

    fn from_word(word: Nanos) -> Self {
        Self(word)
    }
}

const KEYS: usize = 1000;
const STATE: Nanos = Nanos::new(5);
const LATER: Nanos = Nanos::new(10);

/// A table of keys that are all in the first shard.
fn table<V: Keep<()>>(entry: impl Fn() -> V) -> Table<V, ()> {
    let table = Table::new(Seed::random(), 16 * KEYS, &(), KeyMeter::new(None));
    for key in (1..=KEYS as u64).map(|key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !(0xf << 34)) {
        table
            .entry(Fingerprint(key), Nanos::ZERO, |(), kept: &mut V| *kept = entry())
            .expect("there is room");
    }
    table
}

/// How many go while the lock is held once, and what is left then.
fn evict_once<V: Keep<()>>(table: &Table<V, ()>, now: Nanos) -> (usize, Option<Left>) {
    let mut left = None;
    let evicted = table.open(Fingerprint(1), |mut shard| shard.evict_next(&mut left, now));
    (evicted, left)
}

#[test]
fn few_entries_go_under_one_lock_and_all_in_the_end() {
    let table = table(|| Entry(Some(STATE)));
    let (evicted, left) = evict_once(&table, LATER);
    assert_eq!(evicted, AT_ONCE);
    assert!(left.is_some_and(Left::is_any));
    assert_eq!(table.evict(LATER), KEYS - AT_ONCE);
    assert_eq!((table.len(), table.evict(LATER)), (0, 0));
}

#[test]
fn few_words_go_under_one_lock_and_all_in_the_end() {
    let table = table(|| InAWord(STATE));
    let (evicted, left) = evict_once(&table, LATER);
    assert!((1..=BLOCKS_AT_ONCE * 8 * 4).contains(&evicted), "{evicted} went");
    assert!(left.is_some_and(Left::is_any));
    assert_eq!(table.evict(LATER), KEYS - evicted);
    assert_eq!((table.len(), table.evict(LATER)), (0, 0));
}

#[test]
fn few_are_looked_at_under_one_lock_where_none_can_go() {
    let in_an_hour = Nanos::new(3_600_000_000_000);
    for (new_at, now) in [(None, in_an_hour), (None, Nanos::MAX), (Some(Nanos::MAX), Nanos::MAX)] {
        let table = table(|| Entry(new_at));
        let (evicted, left) = evict_once(&table, now);
        assert_eq!((evicted, left.is_some_and(Left::is_any)), (0, true));
        assert_eq!((table.evict(now), table.len()), (0, KEYS));
    }
}
