//! The gate: keys that find no room pass and are turned away by it as all others.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, AtCapacity, Concurrency, KeyedRateLimiter, LeakyBucket, ManualClock, Rate,
    RateLimiter, Reason, SlidingWindow,
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Room for one key, which "a" has, and a handle of "b".
fn full<A: Algorithm>(algorithm: A, clock: &ManualClock) -> (KeyedRateLimiter<A>, RateLimiter<A>) {
    let limiter = KeyedRateLimiter::builder(algorithm).clock(clock.clone());
    let limiter = limiter.max_keys(1).unwrap().at_capacity(AtCapacity::Refuse).build();
    std::mem::forget(limiter.try_acquire("a").unwrap());
    let b = limiter.key("b");
    assert_eq!(b.try_acquire().unwrap_err().reason(), Reason::TooManyKeys);
    (limiter, b)
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn a_key_without_room_is_treated_as_all<A: Algorithm>(algorithm: A) {
    let (limiter, b) = full(algorithm, &ManualClock::new());
    limiter.breach();
    for _ in 0..3 {
        drop(b.try_acquire_many(7).unwrap());
        drop(now(b.acquire()).unwrap());
        drop(now(b.reserve()).unwrap().commit().unwrap());
    }
    let charged = b.charge(1).unwrap_err();
    assert_eq!(charged.reason(), Reason::TooManyKeys, "what is charged has to be kept");
    assert_eq!(limiter.keys(), 1);
    limiter.close();
    assert_eq!(b.try_acquire().unwrap_err().reason(), Reason::Closed);
    assert_eq!(now(b.acquire()).unwrap_err().reason(), Reason::Closed);
    assert_eq!(now(b.reserve()).unwrap_err().reason(), Reason::Closed);
}

#[test]
fn a_key_that_finds_no_room_passes_an_open_gate_and_is_turned_away_by_a_closed_one() {
    let rate = Rate::per_second(1).unwrap();
    a_key_without_room_is_treated_as_all(LeakyBucket::new(rate));
    a_key_without_room_is_treated_as_all(SlidingWindow::new(rate));
    a_key_without_room_is_treated_as_all(Concurrency::new(1).unwrap());
}

#[test]
fn one_in_line_whose_room_was_taken_meanwhile_passes_an_open_gate() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let limiter = KeyedRateLimiter::builder(bucket).clock(clock.clone());
    let limiter = limiter.max_keys(1).unwrap().at_capacity(AtCapacity::Refuse).build();
    let a = limiter.key("a");
    a.try_acquire().unwrap();
    let mut late = tokio_test::task::spawn(a.acquire());
    tokio_test::assert_pending!(late.poll());
    // Somebody else serves it, its permit perishes, and with it goes all that was kept of the key.
    for _ in 0..2 {
        clock.advance(ms(2000));
        let _ = a.peek(0);
    }
    limiter.try_acquire("b").unwrap();
    limiter.breach();
    tokio_test::assert_ready_ok!(late.poll());
}
