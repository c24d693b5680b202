//! A bucket with plenty promises a permit, which is taken when it is used.

use super::{ms, ticket};
use tower_ratelimit::{LeakyBucket, Limiter, ManualClock, Rate, RateLimiter};

/// Ten a second, and 64 at once.
fn bucket(clock: &ManualClock) -> RateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(64).unwrap();
    RateLimiter::builder(bucket).clock(clock.clone()).build()
}

#[test]
fn a_promised_permit_is_taken_when_it_is_used() {
    let limiter = bucket(&ManualClock::new());
    let promised = ticket(&limiter).unwrap();
    assert_eq!(limiter.peek(0).remaining, 64);
    assert!(limiter.commit(promised).is_ok());
    assert_eq!(limiter.peek(0).remaining, 63);
}

#[test]
fn a_promised_permit_that_is_given_back_or_forgotten_was_nobodys() {
    let limiter = bucket(&ManualClock::new());
    limiter.give_back(ticket(&limiter).unwrap());
    let _forgotten = ticket(&limiter).unwrap();
    limiter.try_acquire_many(64).unwrap();
    assert!(limiter.try_acquire().is_err());
}

#[test]
fn a_promise_does_not_perish() {
    let clock = ManualClock::new();
    let limiter = bucket(&clock);
    let promised = ticket(&limiter).unwrap();
    clock.advance(ms(60_000));
    assert!(limiter.keeps(&promised));
    assert!(limiter.commit(promised).is_ok());
}

/// There is a permit for the one handle, and fifteen are left besides.
#[test]
fn where_there_is_no_plenty_a_permit_is_taken_when_its_ticket_is_made() {
    for (taken, is_promised) in [(47, true), (48, false)] {
        let limiter = bucket(&ManualClock::new());
        limiter.try_acquire_many(taken).unwrap();
        let ticket = ticket(&limiter).unwrap();
        assert_eq!(limiter.peek(0).remaining, 64 - taken - u32::from(!is_promised));
        limiter.give_back(ticket);
        assert_eq!(limiter.peek(0).remaining, 64 - taken);
    }
}

#[test]
fn a_reservation_is_no_promise() {
    let limiter = bucket(&ManualClock::new());
    let reservation =
        tokio_test::assert_ready_ok!(tokio_test::task::spawn(limiter.reserve()).poll());
    assert_eq!(limiter.peek(0).remaining, 63);
    drop(reservation);
    assert_eq!(limiter.peek(0).remaining, 64);
}

/// At 60 s, 24 of 64 permits are left; at 0, there were none.
#[test]
fn a_permit_that_is_not_there_when_it_is_used_is_not_used() {
    let clock = ManualClock::new();
    let limiter = bucket(&clock);
    clock.set(ms(60_000));
    limiter.try_acquire_many(40).unwrap();
    let promised = ticket(&limiter).unwrap();
    clock.set(ms(0));
    assert!(limiter.commit(promised).is_err());
    clock.set(ms(60_000));
    assert_eq!(limiter.peek(0).remaining, 24);
}

/// Whoever is let go while permits are scarce looks at the clock, too.
#[test]
fn there_is_plenty_again_once_permits_have_come_back() {
    let clock = ManualClock::new();
    let limiter = bucket(&clock);
    clock.set(ms(60_000));
    for _ in 0..64 {
        limiter.commit(ticket(&limiter).unwrap()).unwrap();
    }
    assert!(ticket(&limiter).is_none());
    clock.set(ms(120_000));
    // Nobody knows that there is plenty until this one has looked.
    limiter.commit(ticket(&limiter).unwrap()).unwrap();
    let _forgotten = ticket(&limiter).unwrap();
    assert_eq!(limiter.peek(0).remaining, 63);
}
