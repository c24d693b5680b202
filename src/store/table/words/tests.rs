//! Who finds room in the table, also in a flood, and whose changes fail.

use super::{Put, SHARDS, Words};
use crate::{
    nanos::Nanos,
    store::table::{Fingerprint, Seed},
};

/// Keys of the first shard as good as random ones.
fn random(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (number ^ (number >> 31)) & !(0xf << 34)
}

#[test]
fn almost_no_key_is_homeless_while_the_table_grows() {
    let (words, [mut keeper, ..]) = Words::new(50_000);
    let state = Nanos::new(1);
    let mut homeless = 0;
    for key in (1..=50_000).map(random) {
        homeless += usize::from(words.put(&mut keeper, key, state, Nanos::ZERO).homeless);
    }
    assert!(homeless <= 5, "{homeless} are homeless");
    assert_eq!(keeper.len(), 50_000 - homeless);
    assert_eq!(keeper.rows(), keeper.len().div_ceil(3));
}

/// Whatever the seed: keys of which many differ in few bits, and in the same ones.
#[test]
fn keys_that_are_alike_find_room_as_random_ones_do() {
    const KEYS: u64 = 3000;
    let alike: [fn(u64) -> u64; 4] =
        [|number| number, |number| 4096 * number, |number| number << 44, u64::swap_bytes];
    for key in alike {
        let mut homeless = 0;
        for table in 0..100 {
            let (words, mut keepers) = Words::new(KEYS as usize / SHARDS);
            let seed = Seed(random(2 * table), random(2 * table + 1));
            for number in 1..=KEYS {
                let fingerprint = Fingerprint::of(&seed, &key(number)).get();
                let keeper = &mut keepers[Words::shard(fingerprint)];
                let put = words.put(keeper, fingerprint, Nanos::new(1), Nanos::ZERO);
                homeless += usize::from(put.homeless);
            }
        }
        assert!(homeless < 200, "{homeless} of 100 tables are homeless");
    }
}

/// Where there are few lines, keys often have the same ones.
#[test]
fn no_key_of_a_small_table_is_homeless_for_long() {
    for table in 0..200 {
        let (words, [mut keeper, ..]) = Words::new(80);
        let mut homeless: Vec<u64> = (1..=60).map(|key| random(1000 * table + key)).collect();
        for _ in 0..20 {
            homeless
                .retain(|key| words.put(&mut keeper, *key, Nanos::new(1), Nanos::ZERO).homeless);
        }
        assert_eq!(homeless, []);
        assert!(keeper.rows() <= 60 / 3 + 16, "{} rows for 60 keys", keeper.rows());
    }
}

#[test]
fn a_flood_leaves_the_table_as_small_as_it_was_and_live_keys_their_states() {
    const CAP: usize = 1000;
    let (words, [mut keeper, ..]) = Words::new(CAP);
    let limited: Vec<u64> = (1..=100).map(random).collect();
    let until = Nanos::new(1_000_000);
    for key in &limited {
        assert!(!words.put(&mut keeper, *key, until, Nanos::ZERO).homeless);
    }
    let mut most = 0;
    for number in 1000..101_000 {
        let now = Nanos::new(number);
        while keeper.len() >= CAP {
            assert_ne!(words.sweep(&mut keeper, now, usize::MAX), 0, "those before 900 ns can go");
        }
        let _ = words.put(&mut keeper, random(number), now + Nanos::new(800), now);
        most = most.max(keeper.rows());
    }
    assert!(most <= CAP.div_ceil(3), "{most} rows");
    for key in &limited {
        assert_eq!(words.find(*key).map(|word| word.state()), Some(until));
    }
}

/// Two keys of the first shard and of the same slots.
const KEY: u64 = 1;
const OTHER: u64 = 2;

#[test]
fn states_that_a_word_cannot_say_are_homeless() {
    let (words, [mut keeper, ..]) = Words::new(10);
    let far = Nanos::new(1 << 62);
    let homeless = Put { evicted: 0, homeless: true };
    assert_eq!(words.put(&mut keeper, KEY, far, Nanos::ZERO), homeless);
    assert_eq!(words.put(&mut keeper, KEY, Nanos::ZERO, Nanos::ZERO), homeless);
    assert_eq!(words.put(&mut keeper, 0, Nanos::new(1), Nanos::ZERO), homeless);

    assert!(!words.put(&mut keeper, KEY, Nanos::new(1), Nanos::ZERO).homeless);
    assert!(!words.find(KEY).expect("it is here").replace(far));
    assert!(!words.hold(&mut keeper, KEY).expect("it is here").release(far));
    assert!(words.find(KEY).is_none());
    assert_eq!(keeper.len(), 0);
}

#[test]
fn a_change_that_comes_too_late_fails() {
    let (words, [mut keeper, ..]) = Words::new(10);
    let (state, later) = (Nanos::new(5), Nanos::new(9));
    assert!(!words.put(&mut keeper, KEY, state, Nanos::ZERO).homeless);
    let found = [(); 3].map(|()| words.find(KEY).expect("it is here"));
    let [first, second, third] = found;
    assert!(first.replace(later));
    assert!(!second.replace(later), "another change was sooner");
    words.hold(&mut keeper, KEY).expect("it is here").remove();
    // The slot goes to another key with the same state.
    assert!(!words.put(&mut keeper, OTHER, state, Nanos::ZERO).homeless);
    assert!(!third.replace(later), "the slot has another owner");
    assert_eq!(words.find(OTHER).map(|word| word.state()), Some(state));
}

#[test]
fn a_shard_follows_the_others_when_a_key_of_it_is_looked_for() {
    let (words, [mut one, mut other, ..]) = Words::new(100);
    let of_the_other = |number| random(number) | 1 << 34;
    for number in 1..=9 {
        let put = words.put(&mut other, of_the_other(number), Nanos::new(number), Nanos::ZERO);
        assert!(!put.homeless);
    }
    for _ in 0..29 {
        words.grow(&mut one);
    }
    assert_eq!((one.rows(), other.rows()), (33, 4));
    let found = || (1..=9).filter(|number| words.find(of_the_other(*number)).is_some()).count();
    assert!(found() < 9, "keys have to move");
    let held = words.hold(&mut other, of_the_other(7)).map(|held| held.state());
    assert_eq!((held, other.rows()), (Some(Nanos::new(7)), 33));
    assert_eq!(found(), 9);
    for number in 1..=9 {
        let state = words.find(of_the_other(number)).map(|word| word.state());
        assert_eq!(state, Some(Nanos::new(number)));
    }
}

/// Whoever is refused room again and again costs little each time.
#[test]
fn a_sweep_looks_at_nothing_before_anything_can_go() {
    let (words, [mut keeper, ..]) = Words::new(3000);
    for number in 1..=3000 {
        let put = words.put(&mut keeper, random(number), Nanos::new(1000 + number), Nanos::ZERO);
        assert!(!put.homeless);
    }
    assert_eq!(keeper.due.soonest(), Nanos::new(1001));
    // The one that could go first is admitted again.
    assert!(words.find(random(1)).expect("it is here").replace(Nanos::new(9000)));
    assert_eq!(words.sweep(&mut keeper, Nanos::new(1001), usize::MAX), 0);
    assert_eq!(keeper.due.soonest(), Nanos::new(1002));
    // And gives back what it took.
    assert!(words.hold(&mut keeper, random(1)).expect("it is here").release(Nanos::new(1001)));
    assert_eq!(keeper.due.soonest(), Nanos::new(1001));
    assert_eq!(words.sweep(&mut keeper, Nanos::new(1001), usize::MAX), 1);
}
