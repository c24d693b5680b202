//! Those who give up while somebody takes hold of the limiter: all others come to know how they
//! stand, nobody keeps a place, and the state is as if one had come after the other.

use super::{
    RateLimiter, bucket, filled, intervals, meanwhile, model_each, pour,
    task::{Task, line, run_all},
};
use crate::{algorithm::LeakyBucket, error::Reason, nanos::Nanos};
use std::slice;

/// Somebody does something when the first of two in line is due, who gives up unless it is let go, and
/// the second looks if it is woken. How many were let go, and the second one.
fn while_the_first_leaves(
    interval: u64,
    work: fn(&RateLimiter<LeakyBucket>),
) -> (u32, Task<LeakyBucket>, RateLimiter<LeakyBucket>) {
    let (clock, limiter, _, [first, second]) = line(bucket(interval, 1), 1);
    clock.set(intervals(interval, 1).into());
    let (first, mut second) = the_first_leaves(first, second, || work(&limiter));
    let let_go = first + run_all(slice::from_mut(&mut second));
    (let_go, second, limiter)
}

/// The first gives up unless it is let go, the second looks if it is woken, and somebody does something.
/// Whether the first was let go, and the second one.
fn the_first_leaves(
    first: Task<LeakyBucket>,
    mut second: Task<LeakyBucket>,
    work: impl FnOnce(),
) -> (u32, Task<LeakyBucket>) {
    let first = meanwhile(move || first.run_and_leave());
    let second = meanwhile(move || {
        second.run();
        second
    });
    work();
    (first(), second())
}

#[test]
fn whoever_is_not_let_go_is_sent_away_when_the_limit_is_closed() {
    model_each(2, |interval| {
        let (let_go, second, limiter) = while_the_first_leaves(interval, RateLimiter::close);
        assert!(second.let_go() == 1 || second.sent_away() == Some(Reason::Closed));
        assert!(let_go <= 1);
        assert_eq!(filled(&limiter), intervals(interval, let_go));
        assert_eq!(pour(&limiter), 0);
    });
}

#[test]
fn whoever_is_not_let_go_is_sent_away_at_a_reset_and_nothing_is_left_of_anybody() {
    model_each(2, |interval| {
        let (let_go, second, limiter) = while_the_first_leaves(interval, RateLimiter::reset);
        assert!(second.let_go() == 1 || second.sent_away() == Some(Reason::Cancelled));
        assert!(let_go <= 1);
        assert_eq!(filled(&limiter), intervals(interval, 0));
        assert_eq!([pour(&limiter), pour(&limiter)], [1, 0]);
    });
}

#[test]
fn whoever_is_not_let_go_is_sent_away_when_all_are_and_the_permit_is_had_once() {
    model_each(2, |interval| {
        let (let_go, second, limiter) = while_the_first_leaves(interval, RateLimiter::cancel);
        assert!(second.let_go() == 1 || second.sent_away() == Some(Reason::Cancelled));
        assert_eq!(let_go + pour(&limiter), 1);
        assert_eq!(filled(&limiter), intervals(interval, 1));
    });
}

#[test]
fn whoever_has_not_left_passes_when_the_gate_is_opened() {
    model_each(2, |interval| {
        let (let_go, second, limiter) = while_the_first_leaves(interval, RateLimiter::breach);
        assert_eq!(second.let_go(), 1);
        // What was taken before the gate was opened, and by whom, is not known here.
        assert!(filled(&limiter) <= intervals(interval, let_go));
        limiter.reset();
        assert_eq!([pour(&limiter), pour(&limiter)], [1, 0]);
    });
}

#[test]
fn the_permit_is_had_once_when_the_bucket_becomes_another_one() {
    model_each(2, |interval| {
        let (clock, limiter, _, [first, second]) = line(bucket(interval, 1), 1);
        clock.set(intervals(interval, 1).into());
        let faster = || limiter.set_algorithm(bucket(interval / 2, 1));
        let (first, mut second) = the_first_leaves(first, second, faster);
        assert_eq!(first + run_all(slice::from_mut(&mut second)), 1);
        clock.set(intervals(interval / 2, 3).into());
        assert_eq!(run_all(&mut [second]), 1);
        assert_eq!(filled(&limiter), intervals(interval / 2, first));
    });
}

#[test]
fn the_next_is_let_go_by_the_bucket_after_a_change() {
    model_each(2, |interval| {
        let (clock, limiter, _, [first, second]) = line(bucket(interval, 1), 1);
        let faster = || limiter.set_algorithm(bucket(interval / 2, 1));
        let (first, mut second) = the_first_leaves(first, second, faster);
        let due = intervals(interval / 2, 1);
        clock.set((due - Nanos::new(1)).into());
        assert_eq!(first + run_all(slice::from_mut(&mut second)), 0);
        clock.set(due.into());
        assert_eq!(run_all(&mut [second]), 1);
        assert_eq!(filled(&limiter), due);
    });
}
