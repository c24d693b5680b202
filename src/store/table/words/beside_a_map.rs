//! The table keeps what a plain map keeps, whatever is done to both.

use super::{Keeper, Put, SHARDS, Words};
use crate::nanos::Nanos;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What one does to the table; times and states are in nanoseconds from the present.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Puts the key in if it is not there.
    Put(u64, u64),
    /// Finds the key and makes its state later.
    Replace(u64, u64),
    /// Holds the key and releases it with a state from then on.
    Release(u64, u64),
    /// Holds the key and drops what was held.
    Hold(u64),
    Remove(u64),
    Sweep(usize),
    /// Sweeps until nothing can go any more.
    SweepAll,
    Later(u64),
    Earlier(u64),
}

/// A fingerprint: spread over all bits, or such that many have the same lines.
fn fingerprint(number: u64) -> u64 {
    match number % 4 {
        0 => number | (number << 38),
        _ => number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = || (1..400_u64).prop_map(fingerprint);
    let time = || prop_oneof![0..1000_u64, Just(500)];
    prop_oneof![
        600 => (key(), time()).prop_map(|(key, state)| Step::Put(key, state)),
        100 => (key(), time()).prop_map(|(key, later)| Step::Replace(key, later)),
        100 => (key(), time()).prop_map(|(key, state)| Step::Release(key, state)),
        20 => key().prop_map(Step::Hold),
        40 => key().prop_map(Step::Remove),
        20 => (0..4_usize).prop_map(Step::Sweep),
        5 => Just(Step::SweepAll),
        40 => (0..50_u64).prop_map(Step::Later),
        3 => (0..50_u64).prop_map(Step::Earlier),
    ]
}

/// The table beside a map of what it should keep.
struct Pairing {
    words: Words,
    keepers: [Keeper; SHARDS],
    kept: BTreeMap<u64, Nanos>,
    now: Nanos,
}

impl Pairing {
    fn new(most_keys: usize) -> Self {
        let (words, keepers) = Words::new(most_keys);
        Self { words, keepers, kept: BTreeMap::new(), now: Nanos::new(1000) }
    }

    fn put(&mut self, key: u64, state: Nanos) -> Put {
        let keeper = &mut self.keepers[Words::shard(key)];
        let put = self.words.put(keeper, key, state, self.now);
        self.drop_evicted(put.evicted);
        if !put.homeless {
            self.kept.insert(key, state);
        }
        put
    }

    /// Of those that equal new, the table may choose; of the others it may drop none.
    fn drop_evicted(&mut self, evicted: usize) {
        if evicted == 0 {
            // `check` sees whether that is true.
            return;
        }
        self.follow();
        let gone: Vec<u64> =
            self.kept.keys().copied().filter(|key| self.words.find(*key).is_none()).collect();
        assert_eq!(gone.len(), evicted);
        for key in gone {
            assert!(self.kept[&key] <= self.now, "a key was dropped that is in use");
            self.kept.remove(&key);
        }
    }

    /// Whoever does not find a key asks its keeper.
    fn follow(&mut self) {
        self.keepers.iter_mut().for_each(|keeper| self.words.follow(keeper));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Put(key, state) if !self.kept.contains_key(&key) => {
                let _ = self.put(key, self.now + Nanos::new(state));
            }
            Step::Put(..) => {}
            Step::Replace(key, later) => {
                self.follow();
                let found = self.words.find(key);
                assert_eq!(found.as_ref().map(super::Word::state), self.kept.get(&key).copied());
                let Some(word) = found else { return };
                let after = word.state() + Nanos::new(later);
                assert!(word.replace(after));
                self.kept.insert(key, after);
            }
            Step::Release(key, state) => {
                let held = self.words.hold(&mut self.keepers[Words::shard(key)], key);
                assert_eq!(held.as_ref().map(super::Held::state), self.kept.get(&key).copied());
                let Some(held) = held else { return };
                assert!(self.words.find(key).is_none(), "what is held cannot be found");
                let state = self.now - Nanos::new(500) + Nanos::new(state);
                assert!(held.release(state));
                self.kept.insert(key, state);
            }
            Step::Hold(key) => {
                drop(self.words.hold(&mut self.keepers[Words::shard(key)], key));
            }
            Step::Remove(key) => {
                let held = self.words.hold(&mut self.keepers[Words::shard(key)], key);
                assert_eq!(held.is_some(), self.kept.remove(&key).is_some());
                if let Some(held) = held {
                    held.remove();
                }
            }
            Step::Sweep(blocks) => {
                self.sweep(blocks);
            }
            Step::SweepAll => {
                while self.sweep(usize::MAX) > 0 {}
                assert!(self.kept.values().all(|state| *state > self.now), "not all was swept");
            }
            Step::Later(by) => self.now = self.now + Nanos::new(by),
            Step::Earlier(by) => self.now = self.now - Nanos::new(by),
        }
    }

    /// How many went, of all shards.
    fn sweep(&mut self, blocks: usize) -> usize {
        let sweep = |keeper| self.words.sweep(keeper, self.now, blocks);
        let evicted = self.keepers.iter_mut().map(sweep).sum();
        self.drop_evicted(evicted);
        evicted
    }

    fn check(&mut self) {
        self.follow();
        assert_eq!(self.keepers.iter().map(Keeper::len).sum::<usize>(), self.kept.len());
        let mut each = BTreeMap::new();
        for keeper in &mut self.keepers {
            self.words.each(keeper, |key, state| {
                assert!(each.insert(key, state).is_none(), "a key is here twice");
            });
        }
        assert_eq!(each, self.kept);
        for (key, state) in &self.kept {
            assert_eq!(self.words.find(*key).map(|word| word.state()), Some(*state));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_table_keeps_what_a_map_keeps(
        most_keys in prop_oneof![Just(1_usize), Just(10), Just(10_000)],
        steps in prop::collection::vec(step(), 1..1200),
    ) {
        let mut pairing = Pairing::new(most_keys);
        for (index, step) in steps.into_iter().enumerate() {
            pairing.take(step);
            if index % 64 == 0 {
                pairing.check();
            }
        }
        pairing.check();
    }
}
