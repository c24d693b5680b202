//! Limits per key: each goes on with its own state.

use super::{NANOSECOND, SECOND, at_once, keyed, keyed_at_once, wait};
use std::time::Duration;
use tower_ratelimit::{
    AtCapacity, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, Reason, Snapshot, Strict,
};

fn strict() -> Strict {
    Strict::new(Rate::per_second(1).unwrap())
}

fn hourly(capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(capacity).unwrap()
}

#[test]
fn each_key_goes_on_with_its_own_state() {
    let clock = ManualClock::new();
    let before = keyed(strict(), &clock);
    for key in 0..1000_u64 {
        before.key(&key).try_acquire().unwrap();
        clock.advance(Duration::from_micros(100));
    }
    let snapshot = Snapshot::from_bytes(before.snapshot().as_bytes()).unwrap();
    let clock = ManualClock::new();
    let after = keyed_at_once(&snapshot, strict(), &clock).unwrap();
    assert_eq!(after.keys(), 1000);
    for key in 0..1000_u64 {
        let ago = Duration::from_micros(100) * (1000 - key as u32);
        assert_eq!(wait(&after.key(&key), 1), Some(SECOND - ago));
    }
    assert_eq!(wait(&after.key(&1000_u64), 1), Some(Duration::ZERO));
    // They are forgotten as ever, each at its instant.
    clock.advance(SECOND - Duration::from_millis(100) - NANOSECOND);
    assert_eq!(after.evict(), 0);
    clock.advance(NANOSECOND);
    assert_eq!(after.evict(), 1);
    clock.advance(Duration::from_millis(100));
    after.evict();
    assert_eq!(after.keys(), 0);
}

#[test]
fn keys_that_equal_new_ones_are_left_out() {
    let clock = ManualClock::new();
    let before = keyed(strict(), &clock);
    before.key("early").try_acquire().unwrap();
    clock.advance(Duration::from_millis(600));
    before.key("late").try_acquire().unwrap();
    let both = before.snapshot();
    clock.advance(Duration::from_millis(400));
    let one = before.snapshot();
    assert!(one.as_bytes().len() < both.as_bytes().len());
    assert_eq!(keyed_at_once(&both, strict(), &ManualClock::new()).unwrap().keys(), 2);
    assert_eq!(keyed_at_once(&one, strict(), &ManualClock::new()).unwrap().keys(), 1);
    // Also those that came to equal new ones meanwhile.
    let builder = KeyedRateLimiter::builder(strict()).clock(ManualClock::new());
    let after = builder.restore_at(&both, both.taken_at() + Duration::from_millis(400)).unwrap();
    assert_eq!(after.keys(), 1);
    assert_eq!(wait(&after.key("late"), 1), Some(Duration::from_millis(600)));
}

#[test]
fn keys_in_use_are_kept_beyond_a_smaller_number_of_keys() {
    let before = keyed(strict(), &ManualClock::new());
    for key in 0..100_u64 {
        before.key(&key).try_acquire().unwrap();
    }
    let snapshot = before.snapshot();
    let clock = ManualClock::new();
    let builder = KeyedRateLimiter::builder(strict()).clock(clock.clone());
    let builder = builder.max_keys(10).unwrap().at_capacity(AtCapacity::Refuse);
    let after = builder.restore_at(&snapshot, snapshot.taken_at()).unwrap();
    assert_eq!(after.keys(), 100);
    for key in 0..100_u64 {
        assert_eq!(wait(&after.key(&key), 1), Some(SECOND));
    }
    let refused = after.key("new").try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::TooManyKeys);
    // Once they equal new ones the smaller number holds.
    clock.advance(SECOND);
    for key in 100..110_u64 {
        after.key(&key).try_acquire().unwrap();
    }
    assert_eq!(after.keys(), 10);
    let refused = after.key("new").try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::TooManyKeys);
}

#[test]
fn the_limit_that_keys_without_room_share_goes_on() {
    let builder = KeyedRateLimiter::builder(hourly(3)).clock(ManualClock::new());
    let before = builder.max_keys(1).unwrap().build();
    before.key("a").try_acquire().unwrap();
    before.key("b").try_acquire_many(2).unwrap();
    let snapshot = before.snapshot();
    let builder = KeyedRateLimiter::builder(hourly(3)).clock(ManualClock::new());
    let after = builder.max_keys(1).unwrap().restore_at(&snapshot, snapshot.taken_at()).unwrap();
    after.key("c").try_acquire().unwrap();
    assert!(after.key("d").try_acquire().is_err());
    assert_eq!(after.key("a").peek(0).remaining, 2);
}

#[test]
fn keys_are_listed_after_as_before() {
    let clock = ManualClock::new();
    let builder = || KeyedRateLimiter::builder(strict()).clock(clock.clone());
    let before = builder().list_keys().build();
    before.key("alice").try_acquire().unwrap();
    before.key(&(1_u8, "pair")).try_acquire().unwrap();
    let snapshot = before.snapshot();
    let restore = |builder: tower_ratelimit::Builder<
        Strict,
        tower_ratelimit::limiter::ManyLimits,
    >| { builder.restore_at(&snapshot, snapshot.taken_at()).unwrap() };
    let sorted = |limiter: &KeyedRateLimiter<Strict>| {
        let mut listed = limiter.list().unwrap();
        listed.sort();
        listed
    };
    let after = restore(builder().list_keys());
    assert_eq!(sorted(&after), sorted(&before));
    assert_eq!(after.list().unwrap().len(), 2);
    assert_eq!(restore(builder()).list(), None);
    // A key that is listed is the key.
    for key in after.list().unwrap() {
        assert_eq!(wait(&after.key(&key), 1), Some(SECOND));
        after.forget(&key);
    }
    assert_eq!(after.keys(), 0);
    // Those that were not listed before are not known, but limited.
    let unlisted = keyed(strict(), &clock);
    unlisted.key("alice").try_acquire().unwrap();
    let snapshot = unlisted.snapshot();
    let builder = builder().list_keys();
    let after = builder.restore_at(&snapshot, snapshot.taken_at()).unwrap();
    assert_eq!((after.keys(), after.list()), (1, Some(Vec::new())));
    assert!(after.key("alice").try_acquire().is_err());
    assert_eq!(after.list().unwrap().len(), 1);
}

#[test]
fn one_key_goes_on_as_a_limit_of_its_own() {
    let before = keyed(hourly(3), &ManualClock::new());
    before.key("alice").try_acquire_many(2).unwrap();
    let restored =
        |key: &str| at_once(&before.key(key).snapshot(), hourly(3), &ManualClock::new()).unwrap();
    assert_eq!(restored("alice").peek(0).remaining, 1);
    assert_eq!(restored("bob").peek(0).remaining, 3);
}

#[test]
fn a_key_with_an_arithmetic_of_its_own_goes_on_by_that_of_all() {
    let before = keyed(hourly(1), &ManualClock::new());
    before.set_algorithm_for("alice", hourly(100)).unwrap();
    before.key("alice").try_acquire_many(50).unwrap();
    let after = keyed_at_once(&before.snapshot(), hourly(1), &ManualClock::new()).unwrap();
    assert_eq!(after.key("alice").peek(0).limit, 1);
    assert_eq!(wait(&after.key("alice"), 1), Some(Duration::from_secs(50 * 3600)));
    // Until it is given the same again.
    after.set_algorithm_for("alice", hourly(100)).unwrap();
    assert_eq!(after.key("alice").peek(0).remaining, 50);
}

#[test]
fn each_key_is_written_down_whole_while_others_ask() {
    let before = keyed(hourly(2), &ManualClock::new());
    let snapshot = std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            for key in 0..1000_u64 {
                before.key(&key).try_acquire_many(2).unwrap();
            }
        });
        let snapshot = before.snapshot();
        asks.join().unwrap();
        snapshot
    });
    let after = keyed_at_once(&snapshot, hourly(2), &ManualClock::new()).unwrap();
    let kept = after.keys();
    let remaining = |key: u64| after.key(&key).peek(0).remaining;
    assert!((0..1000).all(|key| remaining(key) % 2 == 0));
    assert_eq!((0..1000).filter(|key| remaining(*key) == 0).count(), kept);
}
