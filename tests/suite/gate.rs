//! The gate: keys that find no room pass and are turned away by it as all others.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, AtCapacity, Concurrency, JointLimiter, KeyedRateLimiter, LeakyBucket, ManualClock,
    Rate, RateLimited, RateLimiter, Reason, SlidingWindow,
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

fn bucket() -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(2).unwrap()
}

/// Takes all there is, but for what is asked of it during a breach.
fn by_the_state_from_before<T>(
    limiter: &T,
    take: impl Fn(&T) -> Result<(), Reason>,
    [breach, end_breach, close]: [fn(&T); 3],
) {
    take(limiter).unwrap();
    breach(limiter);
    for _ in 0..5 {
        take(limiter).unwrap();
    }
    end_breach(limiter);
    take(limiter).unwrap();
    assert_eq!(take(limiter), Err(Reason::UsedUp));
    end_breach(limiter);
    assert_eq!(take(limiter), Err(Reason::UsedUp));
    close(limiter);
    breach(limiter);
    end_breach(limiter);
    assert_eq!(take(limiter), Err(Reason::Closed));
}

#[test]
fn when_a_breach_ends_calls_are_limited_as_before_it_and_what_is_closed_stays_so() {
    let clock = ManualClock::new();
    let reason = |refusal: RateLimited| refusal.reason();
    by_the_state_from_before(
        &RateLimiter::builder(bucket()).clock(clock.clone()).build(),
        |limiter| limiter.try_acquire().map(drop).map_err(reason),
        [RateLimiter::breach, RateLimiter::end_breach, RateLimiter::close],
    );
    let many = KeyedRateLimiter::builder(bucket()).clock(clock.clone()).build();
    by_the_state_from_before(
        &many,
        |limiter| limiter.try_acquire("a").map(drop).map_err(reason),
        [KeyedRateLimiter::breach, KeyedRateLimiter::end_breach, KeyedRateLimiter::close],
    );
    let mut limits = JointLimiter::builder().clock(clock);
    let limit = limits.limit("a", bucket()).unwrap();
    by_the_state_from_before(
        &limits.build(),
        |limiter| limiter.on(limit, &()).try_acquire().map(drop).map_err(reason),
        [JointLimiter::breach, JointLimiter::end_breach, JointLimiter::close],
    );
}

#[test]
fn a_handle_of_a_key_ends_the_breach_of_all_and_resets_its_own_key_alone() {
    let clock = ManualClock::new();
    let limiter = KeyedRateLimiter::builder(bucket()).clock(clock).build();
    let [a, b] = ["a", "b"].map(|key| limiter.key(key));
    for key in [&a, &b] {
        key.try_acquire_many(2).unwrap();
    }
    a.breach();
    a.reset();
    b.try_acquire().unwrap();
    a.end_breach();
    b.try_acquire().unwrap_err();
    a.try_acquire_many(2).unwrap();
    a.try_acquire().unwrap_err();
}

#[test]
fn who_waited_passes_though_the_breach_ended_before_it_looked() {
    let limiter = RateLimiter::builder(bucket()).clock(ManualClock::new()).build();
    limiter.try_acquire_many(2).unwrap();
    let mut waiting = tokio_test::task::spawn(limiter.acquire());
    tokio_test::assert_pending!(waiting.poll());
    limiter.breach();
    limiter.end_breach();
    assert!(waiting.is_woken());
    limiter.try_acquire().unwrap_err();
    tokio_test::assert_ready_ok!(waiting.poll());
    limiter.try_acquire().unwrap_err();
}
