//! Calls that hold their permits until they end, or give them back: never are more in flight than may be,
//! and whoever waits is let go when one ends.

use super::{
    bucket, limiter, meanwhile,
    task::{line, run_all},
};
use crate::{algorithm::Concurrency, clock::ManualClock, limiter::Permit, sync::model};
use std::slice;

fn one_call() -> Concurrency {
    Concurrency::new(1).expect("a capacity")
}

#[test]
fn what_a_call_held_that_ends_goes_to_the_next_that_has_not_left() {
    model(3, || {
        let (_, limiter, call, [first, mut second]) = line(one_call(), 1);
        let call = meanwhile(move || drop(call));
        let first = meanwhile(move || first.run_and_leave());
        second.run();
        call();
        first();
        assert_eq!(run_all(slice::from_mut(&mut second)), 1);
        assert!(limiter.try_acquire().is_err());
        drop(second);
        assert!(limiter.try_acquire().is_ok());
    });
}

#[test]
fn what_was_granted_to_one_that_leaves_goes_to_one_and_the_next_waits_for_that() {
    model(2, || {
        let (_, limiter, call, [first, mut second, mut third]) = line(one_call(), 1);
        drop(call);
        let first = meanwhile(move || first.leave());
        let second = meanwhile(move || {
            second.run();
            second
        });
        third.run();
        first();
        let mut others = [second(), third];
        assert_eq!(run_all(&mut others), 1);
        let [second, mut third] = others;
        assert_eq!(second.let_go(), 1);
        drop(second);
        assert_eq!(run_all(slice::from_mut(&mut third)), 1);
        drop(third);
        assert!(limiter.try_acquire().is_ok());
    });
}

#[test]
fn a_call_from_before_a_reset_that_ends_after_it_ends_no_other() {
    model(3, || {
        let limiter = limiter(one_call(), &ManualClock::new());
        let other = limiter.clone();
        let other = meanwhile(move || drop(other.try_acquire()));
        limiter.reset();
        let calls = [limiter.try_acquire(), limiter.try_acquire()];
        assert!(calls.iter().flatten().count() <= 1);
        other();
    });
}

#[test]
fn a_refund_of_a_call_from_before_a_reset_is_not_for_those_after_it() {
    model(3, || {
        let limiter = limiter(bucket(10, 1), &ManualClock::new());
        let other = limiter.clone();
        let other = meanwhile(move || other.try_acquire().map(Permit::refund).is_ok());
        limiter.reset();
        let calls = [limiter.try_acquire(), limiter.try_acquire()];
        assert!(calls.iter().flatten().count() <= 1);
        other();
    });
}
