//! The limits of many keys in memory.

use std::{
    sync::Arc,
    task::{Context, Wake},
    time::Duration,
};
use tower_ratelimit::{
    AtCapacity, BurstCompensating, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, Reason,
    SlidingWindow, Strict,
};

fn strict(
    clock: &ManualClock,
) -> tower_ratelimit::Builder<Strict, tower_ratelimit::limiter::ManyLimits> {
    KeyedRateLimiter::builder(Strict::new(Rate::per_second(1).unwrap())).clock(clock.clone())
}

#[test]
fn keys_that_equal_new_are_forgotten_in_passing() {
    let clock = ManualClock::new();
    let limiter = strict(&clock).build();
    // Ten new keys a second, each of which equals new after one.
    for key in 0..10_000_u32 {
        limiter.key(&key).try_acquire().unwrap();
        clock.advance(Duration::from_millis(100));
    }
    assert!(limiter.keys() < 200, "{} keys", limiter.keys());
}

#[test]
fn a_key_in_use_is_never_forgotten() {
    let clock = ManualClock::new();
    let limiter = strict(&clock).max_keys(100).unwrap().at_capacity(AtCapacity::Refuse).build();
    let mut refused = 0;
    limiter.key("victim").try_acquire().unwrap();
    for key in 0..10_000_u32 {
        refused += u32::from(limiter.key(&key).try_acquire().is_err());
        assert!(limiter.key("victim").try_acquire().is_err());
    }
    assert_eq!(limiter.keys(), 100);
    assert_eq!(refused, 10_000 - 99);
}

#[test]
fn a_new_key_is_refused_with_an_error_of_its_own_when_all_are_in_use() {
    let clock = ManualClock::new();
    let limiter =
        strict(&clock).max_keys(2).unwrap().at_capacity(AtCapacity::Refuse).name("small").build();
    limiter.key("a").try_acquire().unwrap();
    limiter.key("b").try_acquire().unwrap();
    let refused = limiter.key("c").try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::TooManyKeys);
    assert_eq!(refused.limit(), Some("small"));
    // In whichever shard it is, one that equals new makes room.
    clock.advance(Duration::from_secs(1));
    limiter.key("c").try_acquire().unwrap();
    limiter.key("d").try_acquire().unwrap();
    assert_eq!(limiter.keys(), 2);
}

#[test]
fn a_limit_that_begins_anew_or_gets_faster_has_room_for_new_keys() {
    let window = |hours: u64| {
        let rate = Rate::new(1, Duration::from_secs(3600 * hours)).unwrap();
        SlidingWindow::new(rate)
    };
    for is_reset in [true, false] {
        let clock = ManualClock::new();
        let builder = KeyedRateLimiter::builder(window(24)).clock(clock.clone());
        let builder = builder.max_keys(2).unwrap().at_capacity(AtCapacity::Refuse);
        let limiter = builder.build();
        limiter.key("a").try_acquire().unwrap();
        limiter.key("b").try_acquire().unwrap();
        clock.advance(Duration::from_secs(3600));
        assert_eq!(limiter.key("c").try_acquire().unwrap_err().reason(), Reason::TooManyKeys);
        match is_reset {
            true => limiter.reset(),
            false => limiter.set_algorithm(window(1)),
        }
        limiter.key("c").try_acquire().unwrap();
        limiter.key("d").try_acquire().unwrap();
        assert_eq!(limiter.key("e").try_acquire().unwrap_err().reason(), Reason::TooManyKeys);
    }
}

#[test]
fn keys_that_find_no_room_share_one_limit() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(3).unwrap();
    let builder = KeyedRateLimiter::builder(bucket).clock(clock.clone());
    let limiter = builder.max_keys(1).unwrap().build();
    limiter.key("a").try_acquire().unwrap();
    let others = (0..100_u32).filter(|key| limiter.key(key).try_acquire().is_ok());
    assert_eq!(others.count(), 3);
    // The one that found room is as it was.
    assert_eq!(limiter.key("a").peek(0).remaining, 2);
    clock.advance(Duration::from_secs(4 * 3600));
    limiter.key("b").try_acquire().unwrap();
    assert_eq!(limiter.key("b").peek(0).remaining, 2);
}

#[test]
fn permits_of_a_shared_limit_go_back_to_it() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(1).unwrap();
    let builder = KeyedRateLimiter::builder(bucket).clock(clock.clone());
    let limiter = builder.max_keys(1).unwrap().build();
    limiter.key("a").try_acquire().unwrap();
    let b = limiter.key("b");
    let permit = b.try_acquire().unwrap();
    assert!(limiter.key("c").try_acquire().is_err());
    permit.refund();
    assert!(limiter.key("c").try_acquire().is_ok());
}

#[test]
fn looking_at_a_key_keeps_nothing_for_it() {
    let limiter = strict(&ManualClock::new()).build();
    assert!(limiter.key("a").peek(1).is_granted());
    assert_eq!(limiter.keys(), 0);
}

#[test]
fn a_late_release_is_not_forgotten_while_it_matters() {
    let clock = ManualClock::new();
    let pacer = BurstCompensating::new(Rate::per_second(1).unwrap());
    let limiter = KeyedRateLimiter::builder(pacer).clock(clock.clone()).build();
    let key = limiter.key("a");
    key.try_acquire().unwrap();
    let mut waiting = tokio_test::task::spawn(key.acquire());
    tokio_test::assert_pending!(waiting.poll());
    clock.set(Duration::from_millis(2500));
    tokio_test::assert_ready_ok!(waiting.poll());
    // Two slots had passed: the second may be taken for one more interval, also when other keys
    // have come in between.
    for other in 0..100_u32 {
        limiter.key(&other).try_acquire().unwrap();
    }
    clock.set(Duration::from_millis(3400));
    key.try_acquire().unwrap();
    key.try_acquire().unwrap();
    assert!(key.try_acquire().is_err());
}

#[test]
fn no_capacity_is_a_typed_error() {
    let invalid = strict(&ManualClock::new()).max_keys(0).unwrap_err();
    assert_eq!(invalid.parameter(), "max_keys");
}

#[test]
fn keys_are_the_same_exactly_when_their_bytes_are() {
    let bucket = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(1).unwrap();
    let limiter = KeyedRateLimiter::new(bucket);
    let long = "x".repeat(10_000);
    limiter.key(&("a", "bc")).try_acquire().unwrap();
    limiter.key(&("ab", "c")).try_acquire().unwrap();
    limiter.key(&("ab", "c", "")).try_acquire().unwrap();
    limiter.key("a'b").try_acquire().unwrap();
    limiter.key("x'); DROP TABLE t").try_acquire().unwrap();
    limiter.key("line\nline\0").try_acquire().unwrap();
    limiter.key(long.as_str()).try_acquire().unwrap();
    limiter.key(&[0xff_u8, 0xfe][..]).try_acquire().unwrap();
    limiter.key(&1_u32).try_acquire().unwrap();
    limiter.key(&1_u64).try_acquire().unwrap();
    limiter.key(&None::<u8>).try_acquire().unwrap();
    limiter.key(&Some(0_u8)).try_acquire().unwrap();
    limiter.key("").try_acquire().unwrap();
    limiter.key(&()).try_acquire().unwrap();
    limiter.key(&std::net::IpAddr::from([1, 2, 3, 4])).try_acquire().unwrap();
    assert_eq!(limiter.keys(), 15);
    assert!(limiter.key(&String::from("a'b")).try_acquire().is_err());
    assert!(limiter.key(&("a".to_owned(), "bc".to_owned())).try_acquire().is_err());
}

#[test]
fn many_threads_on_many_keys_take_exactly_what_there_is() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(7).unwrap();
    let limiter = KeyedRateLimiter::builder(bucket).clock(clock).build();
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let asks = (0..20_000_u32).map(|ask| limiter.key(&(ask % 500)));
                    asks.filter(|key| key.try_acquire().is_ok()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 500 * 7);
}

#[test]
fn a_key_whose_permit_was_refunded_makes_room_at_once() {
    let clock = ManualClock::new();
    let limiter = strict(&clock).max_keys(1).unwrap().at_capacity(AtCapacity::Refuse).build();
    for round in 0..100_u32 {
        limiter.key(&round).try_acquire().unwrap().refund();
        assert_eq!(limiter.keys(), 0);
    }
    limiter.key("b").try_acquire().unwrap();
}

#[test]
fn a_call_at_no_cost_needs_no_room() {
    let clock = ManualClock::new();
    let limiter = strict(&clock).max_keys(1).unwrap().at_capacity(AtCapacity::Refuse).build();
    limiter.key("a").try_acquire().unwrap();
    assert!(limiter.key("b").try_acquire_many(0).is_ok());
    assert_eq!(limiter.keys(), 1);
}

#[test]
fn keys_are_listed_by_a_limiter_that_was_built_to() {
    let clock = ManualClock::new();
    assert_eq!(strict(&clock).build().list(), None);
    let limiter = strict(&clock).list_keys().build();
    for key in ["alice", "bob"] {
        limiter.key(key).try_acquire().unwrap();
    }
    // Asking what would happen keeps nothing.
    let _ = limiter.key("carol").peek(1);
    limiter.key(&(1_u8, "pair")).try_acquire().unwrap();
    let mut listed = limiter.list().unwrap();
    listed.sort();
    let texts: Vec<_> = listed.iter().filter_map(|key| key.text()).collect();
    assert_eq!((texts, listed.len()), (vec!["bob", "alice"], 3));
    clock.advance(Duration::from_secs(1));
    limiter.evict();
    assert_eq!(limiter.list().unwrap(), []);
}

#[test]
fn no_more_names_are_kept_than_about_twice_the_keys() {
    let clock = ManualClock::new();
    let limiter = strict(&clock).max_keys(100).unwrap().list_keys().build();
    for key in 0..100_000_u32 {
        let _ = limiter.key(&key).try_acquire();
        clock.advance(Duration::from_millis(20));
    }
    assert!((50..=100).contains(&limiter.list().unwrap().len()));
}

#[test]
fn a_key_that_was_named_long_before_it_asks_is_listed() {
    let limiter = strict(&ManualClock::new()).list_keys().build();
    let (alice, bob) = (limiter.key("alice"), limiter.acquire("bob"));
    for key in 0..1000_u32 {
        let _ = limiter.key(&key).peek(1);
    }
    alice.clone().try_acquire().unwrap();
    bob.blocking_wait().unwrap();
    let mut listed = limiter.list().unwrap();
    listed.sort();
    assert_eq!(
        listed.iter().map(|key| key.text()).collect::<Vec<_>>(),
        [Some("bob"), Some("alice")]
    );
}

/// Calls at once when it is woken.
struct Hasty(KeyedRateLimiter<LeakyBucket>);

impl Wake for Hasty {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_acquire("alice");
    }
}

#[test]
fn a_call_that_comes_while_its_key_is_forgotten_goes_by_the_arithmetic_of_all() {
    let bucket = |milliseconds| {
        let rate = Rate::new(1, Duration::from_millis(milliseconds)).unwrap();
        LeakyBucket::new(rate).capacity(1).unwrap()
    };
    let limiter = KeyedRateLimiter::builder(bucket(100)).clock(ManualClock::new()).build();
    limiter.set_algorithm_for("alice", bucket(3_600_000)).unwrap();
    let alice = limiter.key("alice");
    alice.try_acquire().unwrap();
    let mut waiting = std::pin::pin!(alice.acquire());
    let waker = Arc::new(Hasty(limiter.clone())).into();
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    limiter.forget("alice");
    let refused = alice.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
}
