//! Those who give up while somebody takes hold of the limiter: all others come to know how they
//! stand, nobody keeps a place, and the state is as if one had come after the other.

use super::{
    INTERVALS, RateLimiter, bucket, filled, intervals, meanwhile, model_each, pour,
    task::{Task, line, run_all},
};
use crate::{algorithm::LeakyBucket, clock::ManualClock, error::Reason, nanos::Nanos, sync::model};

/// What the first of two in line does, how many of it are let go by that, and whether somebody let it go
/// before.
type First = (fn(Task<LeakyBucket>) -> u32, bool);

const FIRST: [First; 3] = [(Task::run_and_leave, false), (Task::leave, false), (Task::leave, true)];

/// A model for each interval, and for all that the first in line may do.
fn model_all(run: fn(u64, First)) {
    for first in FIRST {
        for interval in INTERVALS {
            model(2, move || run(interval, first));
        }
    }
}

/// Two in line, at the instant at which the first is due.
fn two_in_line(
    interval: u64,
    is_let_go: bool,
) -> (ManualClock, RateLimiter<LeakyBucket>, [Task<LeakyBucket>; 2]) {
    let (clock, limiter, _, both) = line(bucket(interval, 1), 1);
    clock.set(intervals(interval, 1).into());
    if is_let_go {
        // Whoever asks serves those who are due.
        assert_eq!(pour(&limiter), 0);
    }
    (clock, limiter, both)
}

/// Somebody does something while the first gives up and the second looks if it is woken. Whether the
/// first was let go, and the second one.
fn while_the_first_leaves(
    [first, mut second]: [Task<LeakyBucket>; 2],
    leaves: fn(Task<LeakyBucket>) -> u32,
    work: impl FnOnce(),
) -> (u32, [Task<LeakyBucket>; 1]) {
    let first = meanwhile(move || leaves(first));
    let second = meanwhile(move || {
        second.run();
        second
    });
    work();
    (first(), [second()])
}

#[test]
fn whoever_is_not_let_go_is_sent_away_when_the_limit_is_closed() {
    model_all(|interval, (leaves, is_let_go)| {
        let (_, limiter, both) = two_in_line(interval, is_let_go);
        let (first, mut second) = while_the_first_leaves(both, leaves, || limiter.close());
        let let_go = first + run_all(&mut second);
        assert!(let_go <= 1);
        assert!(second[0].let_go() == 1 || second[0].sent_away() == Some(Reason::Closed));
        assert_eq!(filled(&limiter), intervals(interval, let_go));
        assert_eq!(pour(&limiter), 0);
    });
}

#[test]
fn whoever_is_not_let_go_is_sent_away_at_a_reset_and_nothing_is_left_of_anybody() {
    model_all(|interval, (leaves, is_let_go)| {
        let (_, limiter, both) = two_in_line(interval, is_let_go);
        let (first, mut second) = while_the_first_leaves(both, leaves, || {
            limiter.reset();
            assert_eq!([pour(&limiter), pour(&limiter)], [1, 0]);
        });
        assert!(first + run_all(&mut second) <= 1);
        assert!(second[0].let_go() == 1 || second[0].sent_away() == Some(Reason::Cancelled));
        assert_eq!(filled(&limiter), intervals(interval, 1));
    });
}

#[test]
fn whoever_is_not_let_go_is_sent_away_when_all_are_and_the_permit_is_had_once() {
    model_all(|interval, (leaves, is_let_go)| {
        let (_, limiter, both) = two_in_line(interval, is_let_go);
        let (first, mut second) = while_the_first_leaves(both, leaves, || limiter.cancel());
        let let_go = first + run_all(&mut second);
        assert!(second[0].let_go() == 1 || second[0].sent_away() == Some(Reason::Cancelled));
        assert_eq!(let_go + pour(&limiter), 1);
        assert_eq!(filled(&limiter), intervals(interval, 1));
    });
}

#[test]
fn whoever_has_not_left_passes_when_the_gate_is_opened() {
    model_all(|interval, (leaves, is_let_go)| {
        let (_, limiter, both) = two_in_line(interval, is_let_go);
        let (_, mut second) = while_the_first_leaves(both, leaves, || limiter.breach());
        assert_eq!(run_all(&mut second), 1);
        // Who was let go before the gate was opened took a permit, and nobody after that.
        assert!(filled(&limiter) <= intervals(interval, 1));
        limiter.reset();
        assert_eq!([pour(&limiter), pour(&limiter)], [1, 0]);
    });
}

#[test]
fn the_permit_is_had_once_when_the_bucket_becomes_another_one() {
    model_all(|interval, (leaves, is_let_go)| {
        let (clock, limiter, both) = two_in_line(interval, is_let_go);
        let faster = || limiter.set_algorithm(bucket(interval / 2, 1));
        let (first, mut second) = while_the_first_leaves(both, leaves, faster);
        assert_eq!(first + run_all(&mut second), 1);
        clock.set(intervals(interval / 2, 3).into());
        assert_eq!(run_all(&mut second), 1);
        assert_eq!(filled(&limiter), intervals(interval / 2, first));
    });
}

#[test]
fn the_next_is_let_go_by_the_bucket_after_a_change() {
    model_each(2, |interval| {
        let (clock, limiter, _, both) = line(bucket(interval, 1), 1);
        let faster = || limiter.set_algorithm(bucket(interval / 2, 1));
        let (_, mut second) = while_the_first_leaves(both, Task::leave, faster);
        let due = intervals(interval / 2, 1);
        clock.set((due - Nanos::new(1)).into());
        assert_eq!(run_all(&mut second), 0);
        clock.set(due.into());
        assert_eq!(run_all(&mut second), 1);
        assert_eq!(filled(&limiter), due);
    });
}
