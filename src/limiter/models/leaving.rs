//! Those who give up while they wait, or were let go and do not know it yet: the others are let go when
//! they are due, no permit is had twice, and none is lost.

use super::{
    bucket, filled, intervals, meanwhile, model_each, pour,
    task::{Task, line, run_all},
};
use crate::{
    algorithm::Algorithm,
    error::Reason,
    limiter::{Limiter, Patience},
};
use std::{slice, time::Duration};

#[test]
fn the_slot_of_one_that_leaves_is_that_of_the_next() {
    model_each(3, |interval| {
        let (clock, limiter, _, [first, mut second]) = line(bucket(interval, 1), 1);
        let first = meanwhile(move || first.run_and_leave());
        clock.set(intervals(interval, 1).into());
        second.run();
        let first = first();
        assert_eq!(first + run_all(slice::from_mut(&mut second)), 1);
        clock.set(intervals(interval, 2).into());
        assert_eq!(run_all(&mut [second]), 1);
        assert_eq!(filled(&limiter), intervals(interval, first));
    });
}

#[test]
fn of_two_that_leave_neither_takes_the_slot_of_the_third_along() {
    model_each(2, |interval| {
        let (clock, limiter, _, [first, second, third]) = line(bucket(interval, 1), 1);
        let first = meanwhile(move || first.run_and_leave());
        let second = meanwhile(move || second.run_and_leave());
        clock.set(intervals(interval, 1).into());
        let mut third = [third];
        third[0].run();
        let gone = first() + second();
        assert_eq!(gone + run_all(&mut third), 1);
        clock.set(intervals(interval, 2).into());
        assert_eq!(run_all(&mut third), 1);
        assert_eq!(filled(&limiter), intervals(interval, gone));
    });
}

#[test]
fn what_was_granted_to_one_that_leaves_goes_to_the_third_while_the_second_is_let_go() {
    model_each(2, |interval| {
        let (clock, limiter, _, [first, mut second, mut third]) = line(bucket(interval, 2), 2);
        clock.set(intervals(interval, 2).into());
        // Whoever asks serves those who are due, and wakes them.
        assert_eq!(pour(&limiter), 0);
        let first = meanwhile(move || first.leave());
        let second = meanwhile(move || {
            second.run();
            second
        });
        third.run();
        assert_eq!(pour(&limiter), 0, "there were two permits for three before it");
        first();
        assert_eq!(run_all(&mut [second(), third]), 2);
        assert_eq!(filled(&limiter), intervals(interval, 2));
    });
}

#[test]
fn one_whose_time_is_up_while_it_is_let_go_has_its_permit_or_hands_it_on() {
    model_each(3, |interval| {
        let (clock, limiter, _, []) = line(bucket(interval, 1), 1);
        let timeout = Patience::Timeout(Duration::from_nanos(interval - 1));
        let mut first = Task::asks(&limiter, 1, timeout);
        let mut second = [Task::asks(&limiter, 1, Patience::Forever)];
        first.run();
        run_all(&mut second);
        clock.set(Duration::from_nanos(interval - 1));
        let first = meanwhile(move || {
            first.run();
            first
        });
        clock.set(intervals(interval, 1).into());
        // Whoever asks lets it go, if it still stands in line.
        assert_eq!(pour(&limiter), 0);
        second[0].run();
        let first = first();
        assert!(first.let_go() == 1 || first.sent_away() == Some(Reason::UsedUp));
        assert_eq!(first.let_go() + run_all(&mut second), 1);
        clock.set(intervals(interval, 2).into());
        assert_eq!(run_all(&mut second), 1);
        assert_eq!(filled(&limiter), intervals(interval, first.let_go()));
    });
}

#[test]
fn what_one_that_comes_too_late_was_granted_is_had_once_while_another_leaves() {
    model_each(2, |interval| {
        let algorithm = bucket(interval, 1);
        let (clock, limiter, _, [mut first, second, third]) = line(algorithm, 1);
        clock.set(intervals(interval, 1).into());
        assert_eq!(pour(&limiter), 0);
        let late = intervals(interval, 1) + algorithm.late_life();
        clock.set(late.into());
        let first = meanwhile(move || {
            first.run();
            first
        });
        let second = meanwhile(move || second.run_and_leave());
        let mut third = third;
        third.run();
        let second = second();
        let mut others = [first(), third];
        assert_eq!(second + run_all(&mut others), 1);
        clock.set((late + intervals(interval, 1)).into());
        assert_eq!(run_all(&mut others), 2 - second);
        clock.set((late + intervals(interval, 2)).into());
        assert_eq!(run_all(&mut others), 2);
        assert_eq!(filled(&limiter), intervals(interval, second));
    });
}

#[test]
fn a_ticket_that_goes_back_goes_to_the_next_that_has_not_left() {
    model_each(2, |interval| {
        let (clock, limiter, _, [first, second, mut third]) = line(bucket(interval, 1), 1);
        clock.set(intervals(interval, 1).into());
        let ticket = first.ticket();
        let gives_back = limiter.clone();
        let first = meanwhile(move || gives_back.give_back(ticket));
        let second = meanwhile(move || second.run_and_leave());
        third.run();
        first();
        let second = second();
        let mut third = [third];
        assert_eq!(second + run_all(&mut third), 1);
        clock.set(intervals(interval, 2).into());
        assert_eq!(run_all(&mut third), 1);
        assert_eq!(filled(&limiter), intervals(interval, second));
    });
}
