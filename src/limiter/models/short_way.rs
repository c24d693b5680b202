//! The way past the lock against those who hold it, in all orders in which they may happen.

use super::{bucket, filled, pour};
use crate::{
    algorithm::{Algorithm, Bucket, LeakyBucket},
    clock::ManualClock,
    decision::{Ask, Take},
    limiter::{KeyedRateLimiter, RateLimiter, rules::Rules, short_way::ShortWay},
    nanos::Nanos,
    store::table::{Fingerprint, Seed},
    sync::model,
};
use loom::thread;
use std::sync::Arc;

const NOW: Nanos = Nanos::new(1000);

/// A limiter whose clock stands, and from which so many permits were taken.
fn limiter(algorithm: LeakyBucket, taken: u32) -> RateLimiter<LeakyBucket> {
    let clock = ManualClock::new();
    clock.set(NOW.into());
    let limiter = super::limiter(algorithm, &clock);
    for _ in 0..taken {
        assert_eq!(pour(&limiter), 1);
    }
    limiter
}

/// The same of one of many keys, whose only permit that was taken has come back.
fn key(seed: Seed, algorithm: LeakyBucket) -> RateLimiter<LeakyBucket> {
    let clock = ManualClock::new();
    let many = KeyedRateLimiter::builder(algorithm).clock(clock.clone());
    let limiter = many.max_keys(1).expect("room for one").build_with(seed).key("a");
    assert_eq!(pour(&limiter), 1);
    clock.set(NOW.into());
    limiter
}

/// A call under the lock. 1 if it was let go.
fn take_under_lock(limiter: &RateLimiter<LeakyBucket>) -> u32 {
    let taken = limiter.shared().lanes.use_quickly(limiter.key(), NOW, 1);
    u32::from(taken.is_some_and(|(decision, _)| decision.what.is_granted()))
}

/// Two call while a third does something; what they did, and then how the bucket is filled, is for
/// `check` to see.
fn two_call_while<T: 'static>(
    new: fn() -> RateLimiter<LeakyBucket>,
    calls: [fn(&RateLimiter<LeakyBucket>) -> u32; 2],
    third: fn(&RateLimiter<LeakyBucket>) -> T,
    check: impl Fn(u32, T, &RateLimiter<LeakyBucket>) + Send + Sync + 'static,
) {
    model(2, move || {
        let limiter = Arc::new(new());
        let callers = calls.map(|call| {
            let limiter = limiter.clone();
            thread::spawn(move || call(&limiter))
        });
        let result = third(&limiter);
        let admitted = callers.map(|caller| caller.join().expect("no panic")).iter().sum();
        check(admitted, result, &limiter);
    });
}

#[test]
fn of_three_calls_as_many_are_let_go_as_there_are_permits_whoever_takes_the_lock() {
    let new = || limiter(bucket(10, 3), 1);
    two_call_while(new, [pour, pour], take_under_lock, |admitted, taken, limiter| {
        assert_eq!(admitted + taken, 2);
        assert_eq!(filled(limiter), Nanos::new(30));
    });
}

#[test]
fn what_is_charged_under_the_lock_and_what_is_let_go_past_it_are_both_remembered() {
    let new = || limiter(bucket(10, 3), 0);
    let charge = |limiter: &RateLimiter<_>| limiter.charge(2).expect("not closed");
    two_call_while(new, [pour, pour], charge, |admitted, (), limiter| {
        assert!((1..=2).contains(&admitted), "{admitted} of a bucket of 3 that was charged 2");
        assert_eq!(filled(limiter), Nanos::new(10) * (admitted + 2));
    });
}

/// The calls that are let go and how long the bucket takes to empty, if so many of two calls come
/// before the change.
fn in_order(before: LeakyBucket, after: LeakyBucket, taken: u32, first: u32) -> (u32, Nanos) {
    let mut state = NOW + before.interval() * taken;
    let call = |algorithm: LeakyBucket, state: &mut Nanos| {
        u32::from(algorithm.decide(state, NOW, Ask::Take(Take::fresh(1))).is_granted())
    };
    let mut admitted = (0..first).map(|_| call(before, &mut state)).sum();
    after.carry_over(&before, &mut state, NOW);
    admitted += (first..2).map(|_| call(after, &mut state)).sum::<u32>();
    (admitted, state - NOW)
}

/// Others call while the bucket becomes another one: as if one had come after the other.
fn they_call_while_the_bucket_changes<const N: usize>(
    interruptions: usize,
    taken: u32,
    calls: [fn(&RateLimiter<LeakyBucket>) -> u32; N],
) {
    model(interruptions, move || {
        let (before, after) = (bucket(10, 4), bucket(100, 3));
        let limiter = Arc::new(limiter(before, taken));
        let callers = calls.map(|call| {
            let limiter = limiter.clone();
            thread::spawn(move || call(&limiter))
        });
        limiter.set_algorithm(after);
        let admitted = callers.map(|caller| caller.join().expect("no panic")).iter().sum();
        let result = (admitted, filled(&limiter));
        let orders = [0, 1, 2].map(|first| in_order(before, after, taken, first));
        assert!(orders.contains(&result), "{result:?} is none of {orders:?}");
    });
}

/// Two calls of one thread.
fn pour_twice(limiter: &RateLimiter<LeakyBucket>) -> u32 {
    pour(limiter) + pour(limiter)
}

#[test]
fn a_call_goes_by_the_bucket_before_a_change_or_by_the_one_after_it() {
    they_call_while_the_bucket_changes(2, 1, [pour_twice]);
}

#[test]
fn so_do_calls_of_two_threads() {
    they_call_while_the_bucket_changes(1, 1, [pour, pour]);
}

#[test]
fn so_does_a_call_that_finds_what_another_put_back_after_the_change() {
    they_call_while_the_bucket_changes(2, 1, [pour, take_under_lock]);
}

#[test]
fn so_does_a_call_of_a_bucket_that_was_empty() {
    they_call_while_the_bucket_changes(2, 0, [pour_twice]);
}

#[test]
fn so_do_calls_of_two_threads_of_a_bucket_that_was_empty() {
    they_call_while_the_bucket_changes(2, 0, [pour, pour]);
}

#[test]
fn so_does_a_call_for_a_key_that_equalled_new_and_the_next_goes_by_the_one_after_it() {
    // Each time the same, or a run is not what it was when it is gone through once more.
    let seed = Seed::random();
    model(2, move || {
        let (before, after) = (bucket(10, 4), bucket(100, 3));
        let limiter = Arc::new(key(seed, before));
        let call = thread::spawn({
            let limiter = limiter.clone();
            move || pour(&limiter)
        });
        limiter.set_algorithm(after);
        let next = pour(&limiter);
        let result = (call.join().expect("no panic") + next, filled(&limiter));
        assert_eq!(result, in_order(before, after, 0, 1));
        assert_eq!(result, in_order(before, after, 0, 0), "whichever came first");
    });
}

/// Two keys that are looked for in the same slot first.
fn of_one_slot(seed: Seed) -> [u64; 2] {
    let slot = |key: &u64| {
        let fingerprint = Fingerprint::of(&seed, key).get();
        // One of the 64 lines that there are at first, and the slot of that.
        (fingerprint & 63, fingerprint >> 62)
    };
    let other = (1..).find(|key| slot(key) == slot(&0)).expect("one of 256 keys");
    [0, other]
}

#[test]
fn no_call_is_refused_for_what_another_key_has_taken_nor_sees_that() {
    let seed = Seed::random();
    let keys = of_one_slot(seed);
    model(3, move || {
        let clock = ManualClock::new();
        let many = KeyedRateLimiter::builder(bucket(10, 2)).clock(clock);
        let many = many.max_keys(2).expect("room for two").build_with(seed);
        let [one, other] = keys.map(|key| Arc::new(many.key(&key)));
        assert_eq!(pour_twice(&one), 2);
        let call = thread::spawn({
            let other = other.clone();
            move || {
                other.shared().standing(other.key(), None, &mut |limit| {
                    assert_ne!(limit.remaining(), Some(0))
                });
                pour(&other)
            }
        });
        many.forget(&keys[0]);
        assert_eq!(pour(&other), 1);
        assert_eq!(call.join().expect("no panic"), 1);
        assert_eq!(filled(&other), Nanos::new(20));
    });
}

#[test]
fn what_is_read_of_a_bucket_is_of_one_bucket() {
    model(3, || {
        let [before, after] = [bucket(10, 4), bucket(100, 3)];
        let way = Arc::new(ShortWay::new(&Rules::new(before, Nanos::ZERO)));
        let reads = thread::spawn({
            let way = way.clone();
            move || [way.bucket(), way.bucket()]
        });
        way.shut();
        way.open(&Rules::new(after, Nanos::ZERO));
        let [before, after] = [before, after].map(|bucket| Bucket::of(&bucket));
        for read in reads.join().expect("no panic") {
            assert!([before, after, None].contains(&read), "{read:?}");
        }
        assert_eq!(way.bucket(), after);
    });
}

#[test]
fn a_call_from_before_a_reset_takes_nothing_back_from_those_after_it() {
    model(3, || {
        let limiter = Arc::new(limiter(bucket(10, 1), 0));
        let call = thread::spawn({
            let limiter = limiter.clone();
            move || pour(&limiter)
        });
        limiter.reset();
        assert!(pour_twice(&limiter) <= 1);
        call.join().expect("no panic");
        assert_eq!(filled(&limiter), Nanos::new(10));
    });
}
