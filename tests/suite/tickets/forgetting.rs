//! A key whose line is empty is forgotten once its state equals new, however its permits came.

use super::{NOW, ms};
use std::task::{Context, Waker};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service, service_fn};
use tower_ratelimit::{
    Algorithm, AtCapacity, Concurrency, KeyedRateLimiter, LeakyBucket, Limiter, ManualClock, Quota,
    Rate, RateLimitLayer, Serialized,
    limiter::{Attempt, Ticket},
};

/// Room for one key, with so many permits, one of which comes back each second.
fn one_key(permits: u32, clock: &ManualClock) -> KeyedRateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(permits).unwrap();
    one_key_of(bucket, clock)
}

/// Room for one key.
fn one_key_of<A: Algorithm>(algorithm: A, clock: &ManualClock) -> KeyedRateLimiter<A> {
    let limiter = KeyedRateLimiter::builder(algorithm).clock(clock.clone());
    limiter.max_keys(1).unwrap().at_capacity(AtCapacity::Refuse).build()
}

/// One call at a time, and one that ended in each half of a second.
fn one_at_a_time() -> Serialized {
    Serialized::new(Rate::new(1, ms(500)).unwrap())
}

fn ticket<A: Algorithm>(limiter: &KeyedRateLimiter<A>) -> Ticket {
    match Limiter::reserve(limiter, "first", NOW) {
        Attempt::Now(result) => result.unwrap(),
        Attempt::Later(_) => panic!("a call without patience is answered at once"),
    }
}

/// When the key is as new, another one finds room.
fn finds_room<A: Algorithm>(limiter: &KeyedRateLimiter<A>, clock: &ManualClock) -> bool {
    clock.advance(ms(100_000));
    limiter.key("second").try_acquire().is_ok()
}

#[test]
fn a_key_is_in_use_while_a_ticket_is_out() {
    let clock = ManualClock::new();
    let limiter = one_key(40, &clock);
    let ticket = ticket(&limiter);
    assert!(!finds_room(&limiter, &clock));
    limiter.give_back(ticket);
    assert!(finds_room(&limiter, &clock));
}

#[test]
fn a_key_is_forgotten_when_its_last_ticket_was_used() {
    for tickets in [1, 2, 20] {
        let clock = ManualClock::new();
        let limiter = one_key(40, &clock);
        let tickets: Vec<_> = (0..tickets).map(|_| ticket(&limiter)).collect();
        // The last to be taken is used first, so that nobody is in the way of any of them.
        for ticket in tickets.into_iter().rev() {
            limiter.commit(ticket).unwrap();
        }
        assert!(finds_room(&limiter, &clock));
    }
}

#[test]
fn a_key_is_forgotten_when_its_last_ticket_perished() {
    let clock = ManualClock::new();
    let limiter = one_key(40, &clock);
    let ticket = ticket(&limiter);
    clock.advance(ms(1000));
    assert!(limiter.commit(ticket).is_err());
    assert!(finds_room(&limiter, &clock));
}

#[test]
fn a_key_is_forgotten_when_nobody_waits_any_more() {
    let clock = ManualClock::new();
    let limiter = one_key(1, &clock);
    let key = limiter.key("first");
    key.try_acquire().unwrap();
    let mut waiting = tokio_test::task::spawn(key.acquire());
    assert_pending!(waiting.poll());
    clock.advance(ms(1000));
    assert_ready_ok!(waiting.poll());
    assert!(finds_room(&limiter, &clock));
}

#[test]
fn a_key_is_forgotten_once_its_call_has_ended_whoever_looked_for_room_while_it_ran() {
    for looks in [0, 1, 3] {
        let clock = ManualClock::new();
        let limiter = one_key_of(one_at_a_time(), &clock);
        let permit = limiter.try_acquire("first").unwrap();
        for _ in 0..looks {
            clock.advance(ms(1000));
            assert_eq!(limiter.evict(), 0);
            limiter.try_acquire("second").unwrap_err();
        }
        drop(permit);
        assert!(finds_room(&limiter, &clock));
    }
}

#[test]
fn a_key_is_forgotten_once_its_call_has_ended_that_was_reserved() {
    let clock = ManualClock::new();
    let limiter = one_key_of(one_at_a_time(), &clock);
    let hold = limiter.commit(ticket(&limiter)).unwrap();
    assert_eq!(limiter.evict(), 0);
    drop(hold);
    assert!(finds_room(&limiter, &clock));
}

#[test]
fn a_key_is_forgotten_when_the_next_in_line_does_not_take_what_came_back() {
    let clock = ManualClock::new();
    let limiter = one_key_of(Concurrency::new(1).unwrap(), &clock);
    let key = limiter.key("first");
    let permit = key.try_acquire().unwrap();
    let mut waiting = tokio_test::task::spawn(key.acquire());
    assert_pending!(waiting.poll());
    drop(permit);
    drop(waiting);
    assert!(finds_room(&limiter, &clock));
}

#[test]
fn a_key_is_forgotten_when_the_last_permit_goes_back_of_a_limit_without_an_end() {
    let clock = ManualClock::new();
    let limiter = one_key_of(Quota::new(2).unwrap(), &clock);
    let permit = limiter.try_acquire("first").unwrap();
    let ticket = ticket(&limiter);
    permit.refund();
    limiter.give_back(ticket);
    assert!(finds_room(&limiter, &clock));
}

#[test]
fn a_keyed_limiter_without_a_key_forgets_it_too() {
    let clock = ManualClock::new();
    let limiter = one_key(40, &clock);
    let inner = service_fn(|()| async { Ok::<_, std::convert::Infallible>(()) });
    let mut service = RateLimitLayer::new(limiter.clone()).refuse().layer(inner);
    for _ in 0..20 {
        assert_ready_ok!(service.poll_ready(&mut Context::from_waker(Waker::noop())));
        drop(service.call(()));
    }
    assert!(finds_room(&limiter, &clock));
}

/// Nothing is promised of a key, which may be forgotten.
#[test]
fn readied_services_of_one_key_hold_a_permit_each_out_of_many() {
    let clock = ManualClock::new();
    let limiter = one_key(40, &clock);
    let inner = service_fn(|()| async { Ok::<_, std::convert::Infallible>(()) });
    let layer = RateLimitLayer::new(limiter.clone()).refuse();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut services: Vec<_> = (0..3).map(|_| layer.layer(inner)).collect();
    for service in &mut services {
        assert_ready_ok!(service.poll_ready(cx));
    }
    assert_eq!(limiter.key(&()).peek(0).remaining, 37);
    drop(services);
    assert_eq!(limiter.key(&()).peek(0).remaining, 40);
}
