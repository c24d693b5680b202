//! Those who give up while others come that need no line: nobody overtakes, no permit is had twice,
//! and none is lost.

use super::{
    bucket, filled, intervals, limiter, meanwhile, model_each, pour,
    task::{Task, line, run_all},
};
use crate::{clock::ManualClock, limiter::Patience};
use std::slice;

#[test]
fn the_slot_of_the_last_in_line_that_leaves_is_there_for_one_that_comes() {
    model_each(2, |interval| {
        let (clock, limiter, _, [last]) = line(bucket(interval, 1), 1);
        clock.set(intervals(interval, 1).into());
        let last = meanwhile(move || last.leave());
        let comes = limiter.clone();
        let comes = meanwhile(move || pour(&comes));
        let let_go = pour(&limiter) + last() + comes();
        assert_eq!(let_go + pour(&limiter), 1);
        assert_eq!(filled(&limiter), intervals(interval, 1));
    });
}

#[test]
fn nobody_overtakes_the_next_when_the_first_leaves() {
    model_each(2, |interval| {
        let (clock, limiter, _, [first]) = line(bucket(interval, 2), 2);
        let mut second = [Task::asks(&limiter, 2, Patience::Forever)];
        assert_eq!(run_all(&mut second), 0);
        clock.set(intervals(interval, 1).into());
        let first = meanwhile(move || first.leave());
        let comes = limiter.clone();
        let comes = meanwhile(move || pour(&comes));
        assert_eq!(pour(&limiter) + first() + comes(), 0, "the one permit is for the second");
        clock.set(intervals(interval, 2).into());
        assert_eq!(run_all(&mut second), 1);
        assert_eq!(filled(&limiter), intervals(interval, 2));
    });
}

#[test]
fn one_that_asks_for_more_than_there_is_and_leaves_takes_nothing_from_those_that_come() {
    model_each(2, |interval| {
        let limiter = limiter(bucket(interval, 2), &ManualClock::new());
        assert_eq!(pour(&limiter), 1);
        let waits = limiter.clone();
        let waits = meanwhile(move || Task::asks(&waits, 2, Patience::Forever).run_and_leave());
        let comes = limiter.clone();
        let comes = meanwhile(move || pour(&comes));
        let let_go = pour(&limiter) + comes();
        assert_eq!(waits(), 0);
        assert_eq!(let_go + pour(&limiter), 1);
        assert_eq!(filled(&limiter), intervals(interval, 2));
    });
}

#[test]
fn one_that_gets_in_line_while_another_leaves_is_let_go_when_it_is_due() {
    model_each(2, |interval| {
        let (clock, limiter, _, [first]) = line(bucket(interval, 1), 1);
        clock.set(intervals(interval, 1).into());
        let first = meanwhile(move || first.leave());
        let asks = limiter.clone();
        let asks = meanwhile(move || {
            let mut task = Task::asks(&asks, 1, Patience::Forever);
            task.run();
            task
        });
        let gone = pour(&limiter) + first();
        let mut last = asks();
        assert_eq!(gone + run_all(slice::from_mut(&mut last)), 1);
        clock.set(intervals(interval, 2).into());
        assert_eq!(run_all(&mut [last]), 1);
        assert_eq!(filled(&limiter), intervals(interval, gone));
    });
}
