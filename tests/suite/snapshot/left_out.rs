//! What a snapshot does not hold: calls, and what somebody did to the limiter.

use super::{SECOND, at_once, keyed, keyed_at_once, read, single, wait};
use std::time::Duration;
use tower_ratelimit::{
    Concurrency, LeakyBucket, ManualClock, Rate, Serialized, SlidingWindow, Strict,
};

#[test]
fn permits_reserved_and_not_used_go_back() {
    let bucket = LeakyBucket::new(Rate::per_hour(1).unwrap()).capacity(3).unwrap();
    let before = single(bucket, &ManualClock::new());
    before.try_acquire().unwrap();
    let _reserved = tokio_test::block_on(before.reserve().cost(2)).unwrap();
    assert!(before.try_acquire().is_err());
    let after = at_once(&before.snapshot(), bucket, &ManualClock::new()).unwrap();
    assert_eq!(after.peek(0).remaining, 2);
    // Taking the snapshot gave nothing back before.
    assert_eq!(before.peek(0).remaining, 0);
}

#[test]
fn permits_reserved_of_a_key_go_back() {
    let window = SlidingWindow::new(Rate::per_hour(3).unwrap());
    let before = keyed(window.clone(), &ManualClock::new());
    let alice = before.key("alice");
    let _reserved = tokio_test::block_on(alice.reserve().cost(2)).unwrap();
    let after = keyed_at_once(&before.snapshot(), window.clone(), &ManualClock::new()).unwrap();
    assert_eq!(after.keys(), 0);
    alice.try_acquire().unwrap();
    let after = keyed_at_once(&before.snapshot(), window, &ManualClock::new()).unwrap();
    assert_eq!(after.key("alice").peek(0).remaining, 2);
}

#[test]
fn those_in_line_are_not_in_line_after() {
    let strict = Strict::new(Rate::per_second(1).unwrap());
    let before = single(strict, &ManualClock::new());
    before.try_acquire().unwrap();
    let mut waiting = tokio_test::task::spawn(before.acquire());
    tokio_test::assert_pending!(waiting.poll());
    assert_eq!(before.peek(1).retry_after(), Some(2 * SECOND));
    let after = at_once(&before.snapshot(), strict, &ManualClock::new()).unwrap();
    assert_eq!(wait(&after, 1), Some(SECOND));
    assert_eq!(before.peek(1).retry_after(), Some(2 * SECOND));
}

#[test]
fn calls_in_flight_ended_with_their_process() {
    let limit = Concurrency::new(2).unwrap();
    let leased = limit.lease(Duration::from_secs(60)).unwrap();
    for limit in [limit, leased] {
        let before = single(limit, &ManualClock::new());
        let _running = before.try_acquire_many(2).unwrap();
        let after = at_once(&before.snapshot(), limit, &ManualClock::new()).unwrap();
        let _running = after.try_acquire_many(2).unwrap();
        assert!(after.try_acquire().is_err());
        assert!(before.try_acquire().is_err());
    }
    let before = keyed(read("concurrency 1"), &ManualClock::new());
    let alice = before.key("alice");
    let _running = alice.try_acquire().unwrap();
    let after = keyed_at_once(&before.snapshot(), read("concurrency 1"), &ManualClock::new());
    assert_eq!(after.unwrap().keys(), 0);
}

#[test]
fn a_call_that_ran_counts_as_completed_when_the_limiter_is_restored() {
    fn counts<A: super::Restored + Clone>(limit: A) {
        let clock = ManualClock::new();
        let before = single(limit.clone(), &clock);
        drop(before.try_acquire().unwrap());
        clock.advance(3 * SECOND);
        let _running = before.try_acquire().unwrap();
        clock.advance(SECOND);
        let clock = ManualClock::new();
        let after = at_once(&before.snapshot(), limit, &clock).unwrap();
        // One completed four seconds ago, the other one just now.
        assert_eq!(wait(&after, 1), Some(6 * SECOND));
        clock.advance(6 * SECOND);
        assert_eq!(wait(&after, 2), Some(4 * SECOND));
    }
    counts(Serialized::new(Rate::new(2, 10 * SECOND).unwrap()));
    counts(read("serialized 2/10s"));
}

#[test]
fn a_limiter_that_was_closed_or_breached_goes_on_in_force() {
    let strict = Strict::new(Rate::per_second(1).unwrap());
    let before = single(strict, &ManualClock::new());
    before.try_acquire().unwrap();
    before.breach();
    let after = at_once(&before.snapshot(), strict, &ManualClock::new()).unwrap();
    assert_eq!(wait(&after, 1), Some(SECOND));
    before.close();
    let after = at_once(&before.snapshot(), strict, &ManualClock::new()).unwrap();
    assert_eq!(wait(&after, 1), Some(SECOND));
}
