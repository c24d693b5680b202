//! Changes without the lock against those with it, in all orders in which they may happen.

use super::{Held, Keeper, Word, Words};
use crate::{nanos::Nanos, sync::model};
use loom::{
    sync::{Arc, Mutex},
    thread,
};

/// A key of the rows 0 and 1, of four, and of the first shard.
const KEY: u64 = row_0_and(1, 1);
/// Another one of them.
const OTHER: u64 = row_0_and(1, 2);

const STATE: Nanos = Nanos::new(5);
const NOW: Nanos = Nanos::new(10);

/// The key of this number whose first line is in row 0 and whose second is in this one, of four; of both lines
/// in the first two slots.
const fn row_0_and(second: u64, number: u64) -> u64 {
    second << 14 | number
}

fn table(keys: &[u64]) -> (Arc<Words>, Keeper) {
    let (words, [mut keeper, ..]) = Words::new(12);
    for key in keys {
        assert!(!words.put(&mut keeper, *key, STATE, Nanos::ZERO).homeless);
    }
    (Arc::new(words), keeper)
}

/// Admits one without a lock: makes the state later by one. 1 if that was done.
fn admit(words: &Words, key: u64) -> u64 {
    let admitted = words.find(key).is_some_and(|word| {
        let after = word.state() + Nanos::new(1);
        word.replace(after)
    });
    u64::from(admitted)
}

fn state(words: &Words, keeper: &mut Keeper, key: u64) -> Option<u64> {
    let held = words.hold(keeper, key).map(|held| held.state().get());
    assert_eq!(words.find(key).as_ref().map(|word| word.state().get()), held);
    held
}

/// Somebody admits two while the keeper does something that keeps all states as they are.
fn nothing_is_lost_while(keys: &'static [u64], keeps: fn(&Words, &mut Keeper)) {
    model(3, move || {
        let (words, mut keeper) = table(keys);
        let admits = thread::spawn({
            let words = words.clone();
            move || admit(&words, KEY) + admit(&words, KEY)
        });
        keeps(&words, &mut keeper);
        let admitted = admits.join().expect("no panic");
        assert_eq!(state(&words, &mut keeper, KEY), Some(STATE.get() + admitted));
        let mut kept = 0;
        words.each(&mut keeper, |key, _| kept += usize::from(key == KEY));
        assert_eq!(kept, 1);
    });
}

#[test]
fn an_admission_keeps_its_key_from_eviction_or_fails_and_goes_to_nobody_else() {
    model(3, || {
        let (words, mut keeper) = table(&[KEY]);
        let admits = thread::spawn({
            let words = words.clone();
            move || words.find(KEY).is_some_and(|word| word.replace(NOW + Nanos::new(1)))
        });
        let evicted = words.sweep(&mut keeper, NOW, usize::MAX);
        // The same slot and the same state, as if a clock had been set back.
        assert!(!words.put(&mut keeper, OTHER, STATE, NOW).homeless);
        let admitted = admits.join().expect("no panic");
        assert_eq!(state(&words, &mut keeper, KEY), admitted.then_some(NOW.get() + 1));
        assert_eq!(evicted, usize::from(!admitted));
        assert_eq!(state(&words, &mut keeper, OTHER), Some(STATE.get()));
    });
}

#[test]
fn a_state_that_is_found_was_the_keys_own() {
    model(3, || {
        let (words, mut keeper) = table(&[KEY]);
        let finds = thread::spawn({
            let words = words.clone();
            move || words.find(KEY).filter(Word::is_still_there).as_ref().map(Word::state)
        });
        let remove = |held: Option<Held<'_>>| held.expect("it is here").remove();
        remove(words.hold(&mut keeper, KEY));
        let _ = words.put(&mut keeper, OTHER, Nanos::new(7), NOW);
        remove(words.hold(&mut keeper, OTHER));
        let _ = words.put(&mut keeper, KEY, Nanos::new(9), NOW);
        let found = finds.join().expect("no panic");
        assert!(found.is_none_or(|state| [5, 9].contains(&state.get())), "{found:?}");
    });
}

#[test]
fn what_is_held_is_nobody_elses_to_change() {
    model(3, || {
        let (words, mut keeper) = table(&[KEY]);
        let admits = thread::spawn({
            let words = words.clone();
            move || admit(&words, KEY) + admit(&words, KEY)
        });
        let held = words.hold(&mut keeper, KEY).expect("it is here");
        let after = held.state() + Nanos::new(10);
        assert!(held.release(after));
        let admitted = admits.join().expect("no panic");
        assert_eq!(state(&words, &mut keeper, KEY), Some(STATE.get() + 10 + admitted));
    });
}

#[test]
fn a_split_loses_no_admission() {
    /// Of row 4 once that is there.
    const MOVED: u64 = KEY | 4 << 38;
    const KEYS: [u64; 2] = [MOVED, OTHER];
    model(3, || {
        let (words, mut keeper) = table(&KEYS);
        let admits = thread::spawn({
            let words = words.clone();
            move || admit(&words, MOVED) + admit(&words, MOVED)
        });
        words.grow(&mut keeper);
        // The slot in the old line goes to another key with the same state.
        assert!(!words.put(&mut keeper, row_0_and(1, 3), STATE, Nanos::ZERO).homeless);
        let admitted = admits.join().expect("no panic");
        assert_eq!(state(&words, &mut keeper, MOVED), Some(STATE.get() + admitted));
        assert_eq!(state(&words, &mut keeper, OTHER), Some(STATE.get()));
        assert_eq!(state(&words, &mut keeper, row_0_and(1, 3)), Some(STATE.get()));
        assert_eq!(keeper.len(), 3);
    });
}

#[test]
fn a_key_is_admitted_by_itself_or_by_its_keeper_while_another_shard_grows() {
    /// Of the second shard, and of row 4 once that is there.
    const MOVED: u64 = KEY | 4 << 38 | 1 << 34;
    model(3, || {
        let (words, [mut one, mut other, ..]) = Words::new(12);
        assert!(!words.put(&mut other, MOVED, STATE, Nanos::ZERO).homeless);
        let words = Arc::new(words);
        let grows = thread::spawn({
            let words = words.clone();
            move || words.grow(&mut one)
        });
        for _ in 0..2 {
            if admit(&words, MOVED) == 0 {
                let held = words.hold(&mut other, MOVED).expect("it is here");
                let after = held.state() + Nanos::new(1);
                assert!(held.release(after));
            }
        }
        grows.join().expect("no panic");
        assert_eq!(words.hold(&mut other, MOVED).map(|held| held.state().get()), Some(7));
        assert_eq!(words.find(MOVED).map(|word| word.state().get()), Some(7));
        assert_eq!(other.len(), 1);
    });
}

#[test]
fn a_move_loses_no_admission() {
    const KEYS: [u64; 2] = [KEY, OTHER];
    nothing_is_lost_while(&KEYS, |words, keeper| {
        // Only two slots of row 0 will do for this one, and those are taken.
        let new = row_0_and(0, 5);
        assert!(!words.put(keeper, new, STATE, Nanos::ZERO).homeless);
        assert_eq!(state(words, keeper, new), Some(STATE.get()));
    });
}

#[test]
fn of_two_who_put_a_key_in_one_finds_that_of_the_other() {
    model(3, || {
        let (words, keeper) = table(&[]);
        let keeper = Arc::new(Mutex::new(keeper));
        let ask = {
            let (words, keeper) = (words.clone(), keeper.clone());
            move || {
                for _ in 0..2 {
                    if admit(&words, KEY) == 1 {
                        continue;
                    }
                    let mut keeper = keeper.lock().expect("no panic");
                    if let Some(held) = words.hold(&mut keeper, KEY) {
                        let after = held.state() + Nanos::new(1);
                        assert!(held.release(after));
                    } else {
                        assert!(!words.put(&mut keeper, KEY, STATE, NOW).homeless);
                    }
                }
            }
        };
        let other = thread::spawn(ask.clone());
        ask();
        other.join().expect("no panic");
        let mut keeper = keeper.lock().expect("no panic");
        assert_eq!(state(&words, &mut keeper, KEY), Some(STATE.get() + 3));
        assert_eq!(keeper.len(), 1);
    });
}
