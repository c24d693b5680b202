//! Every number that somebody can set or say: out of range it is refused by its name, and whatever
//! is in range is an answer and no panic.

use crate::text::limit;
use proptest::prelude::*;
use std::{fmt::Debug, time::Duration};
use tokio_test::task;
use tower_ratelimit::{
    BurstCompensating, Concurrency, Invalid, JointLimiter, KeyedRateLimiter, LeakyBucket,
    ManualClock, Quota, Rate, RateLimiter, Reason, SlidingWindow, Strict, TokenBucket,
};

/// What was refused, and the value as it was given.
fn refused<T: Debug>(result: Result<T, Invalid>) -> (&'static str, String) {
    let invalid = result.unwrap_err();
    (invalid.parameter(), invalid.value().to_owned())
}

fn per_second() -> Rate {
    Rate::per_second(3).unwrap()
}

#[test]
fn rates_out_of_range_are_refused() {
    let second = Duration::from_secs(1);
    for (rate, parameter) in [
        (Rate::new(0, second), "permits"),
        (Rate::per_second(0), "permits"),
        (Rate::per_minute(0), "permits"),
        (Rate::per_hour(0), "permits"),
        (Rate::per_day(0), "permits"),
        (Rate::new(1, Duration::ZERO), "period"),
        (Rate::new(1, Duration::MAX), "period"),
        (Rate::per_second(1_000_000_001), "rate"),
        (Rate::per_second(u32::MAX), "rate"),
        (Rate::new(2, Duration::from_nanos(1)), "rate"),
        ("-1/s".parse(), "rate"),
        ("NaN/s".parse(), "rate"),
        ("inf/s".parse(), "rate"),
        ("4294967296/s".parse(), "rate"),
        ("1/99999999999999999999s".parse(), "rate"),
        ("1/18446744073709551615day".parse(), "period"),
    ] {
        assert_eq!(refused(rate).0, parameter);
    }
    for number in [
        0.0,
        -0.0,
        -1.0,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        let given = number.to_string();
        assert_eq!(refused(Rate::per_second_f64(number)), ("permits", given));
    }
}

#[test]
fn parameters_of_algorithms_out_of_range_are_refused() {
    let rate = per_second();
    let slowest = Rate::new(1, Duration::from_secs(25 * 365 * 86_400)).unwrap();
    for (limit, parameter, value) in [
        (LeakyBucket::new(rate).capacity(0).map(drop), "capacity", "0"),
        (LeakyBucket::new(slowest).capacity(11).map(drop), "capacity", "11"),
        (LeakyBucket::any_window(rate, 0).map(drop), "capacity", "0"),
        (LeakyBucket::any_window(rate, 4).map(drop), "capacity", "4"),
        (BurstCompensating::new(rate).max_burst(0).map(drop), "max_burst", "0"),
        (BurstCompensating::new(slowest).max_burst(11).map(drop), "max_burst", "11"),
        (TokenBucket::new(rate).capacity(0).map(drop), "capacity", "0"),
        (TokenBucket::new(rate).capacity(2).map(drop), "capacity", "2"),
        (TokenBucket::new(slowest).capacity(u32::MAX).map(drop), "capacity", "4294967295"),
        (TokenBucket::new(rate).initial(4).map(drop), "initial", "4"),
        (Quota::new(0).map(drop), "permits", "0"),
        (Concurrency::new(0).map(drop), "capacity", "0"),
        (SlidingWindow::all([]).map(drop), "rates", "empty"),
        (SlidingWindow::all([rate, rate]).map(drop), "rates", "3/s with 3/s"),
    ] {
        assert_eq!(refused(limit), (parameter, value.to_owned()));
    }
    for lease in [Duration::ZERO, Duration::MAX] {
        let limit = Concurrency::new(1).unwrap().lease(lease);
        assert_eq!(refused(limit), ("lease", format!("{lease:?}")));
    }
}

#[test]
fn numbers_of_keys_out_of_range_are_refused() {
    let strict = Strict::new(per_second());
    let keyed = KeyedRateLimiter::builder(strict).max_keys(0).map(|_| ());
    assert_eq!(refused(keyed), ("max_keys", "0".to_owned()));
    let joint = JointLimiter::builder().max_keys(0).map(|_| ());
    assert_eq!(refused(joint), ("max_keys", "0".to_owned()));
}

/// One thing that is done to a limiter, with a number of any size.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Try(u32),
    MaxWait(u32, Duration),
    Timeout(u32, Duration),
    Charge(u32),
    Refund(u32),
    Peek(u32),
    Set(Duration),
}

fn length() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::from_nanos(u64::MAX)),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_nanos),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let cost = || prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()];
    prop_oneof![
        cost().prop_map(Deed::Try),
        (cost(), length()).prop_map(|(cost, wait)| Deed::MaxWait(cost, wait)),
        (cost(), length()).prop_map(|(cost, wait)| Deed::Timeout(cost, wait)),
        cost().prop_map(Deed::Charge),
        cost().prop_map(Deed::Refund),
        cost().prop_map(Deed::Peek),
        length().prop_map(Deed::Set),
    ]
}

proptest! {
    #[test]
    fn whatever_is_in_range_is_an_answer_and_no_panic(
        algorithms in (limit(), limit()),
        slack in length(),
        deeds in prop::collection::vec(deed(), 1..30),
    ) {
        let clock = ManualClock::new();
        let builder = RateLimiter::builder(algorithms.0.clone()).clock(clock.clone());
        let limiter = builder.slack(slack).build();
        let mut waiting = Vec::new();
        for deed in deeds.iter().copied() {
            match deed {
                Deed::Try(cost) => {
                    let reason = limiter.try_acquire_many(cost).map_err(|refused| refused.reason());
                    let known = [Reason::UsedUp, Reason::TooCostly, Reason::Exhausted];
                    prop_assert!(reason.map_or_else(|why| known.contains(&why), |_| true));
                    prop_assert!(limiter.try_acquire_many(0).is_ok());
                }
                Deed::MaxWait(cost, wait) => {
                    waiting.push(task::spawn(limiter.acquire().cost(cost).max_wait(wait)));
                }
                Deed::Timeout(cost, wait) => {
                    waiting.push(task::spawn(limiter.acquire().cost(cost).timeout(wait)));
                }
                Deed::Charge(cost) => limiter.charge(cost).unwrap(),
                Deed::Refund(cost) => {
                    if let Ok(permit) = limiter.try_acquire_many(cost) {
                        permit.refund();
                    }
                }
                Deed::Peek(cost) => drop(limiter.peek(cost).to_owned()),
                Deed::Set(to) => clock.set(to),
            }
            waiting.retain_mut(|call| call.poll().is_pending());
        }
        limiter.set_algorithm(algorithms.1);
        waiting.retain_mut(|call| call.poll().is_pending());
    }
}

#[test]
fn at_the_end_of_time_nothing_is_forgotten_that_is_in_use() {
    let clock = ManualClock::new();
    let limiter = KeyedRateLimiter::builder(Strict::new(per_second())).clock(clock.clone()).build();
    let key = limiter.key("a");
    key.try_acquire().unwrap();
    let mut waiting = task::spawn(key.acquire());
    tokio_test::assert_pending!(waiting.poll());
    let quota = Quota::new(1).unwrap();
    let quota = KeyedRateLimiter::builder(quota).clock(clock.clone()).build();
    quota.try_acquire("a").unwrap();
    clock.set(Duration::MAX);
    assert_eq!((limiter.evict(), quota.evict()), (0, 0));
    quota.try_acquire("a").unwrap_err();
}
