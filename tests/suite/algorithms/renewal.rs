//! A call takes place later than its grant: the algorithms that count from the call follow it.

use super::{
    ask,
    bounds::{fullest, keeps_its_bound},
    granted,
    histories::{Pause, check_with, pause},
    limits, pass_at, rate,
};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::fmt::Debug;
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, FixedWindow, Grant, LeakyBucket, Nanos, Rate, SlidingWindow,
    SlidingWindowCounter, Strict, Take, TokenBucket, algorithm::WAKE_UP,
};

#[derive(Clone, Copy, Debug)]
enum Turn {
    Take,
    Renew(Index),
    GiveBack(Index),
}

fn turns() -> impl Strategy<Value = Vec<(Pause, Turn)>> {
    let turn = prop_oneof![
        4 => Just(Turn::Take),
        3 => any::<Index>().prop_map(Turn::Renew),
        1 => any::<Index>().prop_map(Turn::GiveBack),
    ];
    prop::collection::vec((pause(), turn), 1..40)
}

/// The instants at which calls take place: each before its permit is too old, those that would
/// come later go back.
fn instants<A: Algorithm>(algorithm: &A, turns: Vec<(Pause, Turn)>) -> Vec<u64> {
    let mut state = A::State::default();
    let mut unused: Vec<Grant> = Vec::new();
    let mut instants = Vec::new();
    let (mut now, mut wait) = (0, 0);
    for (pause, turn) in turns {
        now = pause.after(algorithm, now, wait);
        let is_fresh = |grant: &Grant| Nanos::new(now) < grant.at + algorithm.shelf_life();
        match turn {
            Turn::Take => {
                let decision = ask(algorithm, &mut state, now, Ask::Take(Take::fresh(1)));
                wait = super::wait(decision).unwrap_or(0);
                unused.extend(decision.grant());
            }
            Turn::Renew(index) if !unused.is_empty() => {
                let grant = unused.remove(index.index(unused.len()));
                let used = is_fresh(&grant);
                let next = match used {
                    true => Ask::Renew(grant),
                    false => Ask::GiveBack(grant),
                };
                let _ = ask(algorithm, &mut state, now, next);
                instants.extend(used.then_some(now));
            }
            Turn::GiveBack(index) if !unused.is_empty() => {
                let grant = unused.remove(index.index(unused.len()));
                let _ = ask(algorithm, &mut state, now, Ask::GiveBack(grant));
            }
            Turn::Renew(_) | Turn::GiveBack(_) => {}
        }
    }
    instants
}

fn calls_keep_the_bound<A: Algorithm>(algorithm: A, turns: Vec<(Pause, Turn)>) -> TestCaseResult {
    let instants = instants(&algorithm, turns);
    keeps_its_bound(&algorithm, instants)
}

#[test]
fn strict_calls_keep_their_distance_however_late_they_take_place() {
    check_with(400, turns(), limits::strict(), calls_keep_the_bound);
}

#[test]
fn late_calls_fit_into_every_sliding_window() {
    check_with(400, turns(), limits::sliding_window(), |limit, turns| {
        let instants = instants(&limit, turns);
        for rate in limit.rates() {
            let most = fullest(&instants, Nanos::from(rate.period()).get());
            prop_assert!(most <= u64::from(rate.permits()));
        }
        keeps_its_bound(&limit, instants)
    });
}

#[test]
fn the_gap_after_a_strict_call_counts_from_the_call() {
    let limit = Strict::new(rate(1, 10));
    let mut next = Default::default();
    let grant = granted(&limit, &mut next, 0, Take::fresh(2)).unwrap();
    let decision = ask(&limit, &mut next, 9, Ask::Renew(grant));
    assert!(decision.is_granted());
    assert_eq!((decision.remaining, decision.full_after.get()), (0, 20));
    assert_eq!(pass_at(&limit, &mut next, 28, 9), 0);
    assert_eq!(pass_at(&limit, &mut next, 29, 9), 1);
}

#[test]
fn a_strict_call_given_back_after_it_took_place_frees_all_its_slot() {
    let limit = Strict::new(rate(1, 10));
    let mut next = Default::default();
    let grant = granted(&limit, &mut next, 0, Take::fresh(1)).unwrap();
    let renewed = ask(&limit, &mut next, 9, Ask::Renew(grant)).grant();
    let _ = ask(&limit, &mut next, 12, Ask::GiveBack(renewed.unwrap()));
    assert_eq!(pass_at(&limit, &mut next, 12, 9), 1);
}

#[test]
fn a_call_counts_in_a_sliding_window_from_when_it_takes_place() {
    let limit = SlidingWindow::new(rate(2, 20));
    let mut log = Default::default();
    let first = granted(&limit, &mut log, 0, Take::fresh(1)).unwrap();
    granted(&limit, &mut log, 3, Take::fresh(1)).unwrap();
    let renewed = ask(&limit, &mut log, 9, Ask::Renew(first)).grant().unwrap();
    assert_eq!((renewed.at, renewed.cost), (Nanos::new(9), 1));
    assert_eq!(pass_at(&limit, &mut log, 20, 9), 0);
    assert_eq!(pass_at(&limit, &mut log, 23, 9), 1);
    assert_eq!(pass_at(&limit, &mut log, 28, 9), 0);
    let mut given_back = log.clone();
    let _ = ask(&limit, &mut given_back, 28, Ask::GiveBack(renewed));
    assert_eq!(pass_at(&limit, &mut given_back, 28, 9), 1);
    assert_eq!(pass_at(&limit, &mut log, 29, 9), 1);
}

#[test]
fn a_call_that_takes_place_late_is_counted_once() {
    let limit = SlidingWindow::new(rate(3, 30));
    let mut log = Default::default();
    let first = granted(&limit, &mut log, 0, Take::fresh(1)).unwrap();
    let renewed = ask(&limit, &mut log, 9, Ask::Renew(first));
    assert_eq!(renewed.remaining, 2);
    assert_eq!(pass_at(&limit, &mut log, 9, 9), 2);
    // Given back, it is not there to be moved.
    let _ = ask(&limit, &mut log, 10, Ask::GiveBack(renewed.grant().unwrap()));
    let _ = ask(&limit, &mut log, 11, Ask::Renew(renewed.grant().unwrap()));
    assert_eq!(pass_at(&limit, &mut log, 11, 9), 1);
}

/// They count from the grant: the state stays, and the grant can still be found.
fn stays<A: Algorithm<State: PartialEq + Debug>>(limit: A) {
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let before = state.clone();
    let renewed = ask(&limit, &mut state, 9, Ask::Renew(grant)).grant();
    assert_eq!(state, before);
    let _ = ask(&limit, &mut state, 9, Ask::GiveBack(renewed.unwrap()));
    assert!(granted(&limit, &mut state, 9, Take::fresh(1)).is_some());
}

#[test]
fn those_that_keep_no_log_count_from_the_grant() {
    stays(LeakyBucket::new(rate(1, 10)).capacity(1).unwrap());
    stays(BurstCompensating::new(rate(1, 10)));
    stays(TokenBucket::new(rate(1, 10)));
    stays(FixedWindow::new(rate(1, 10)));
    stays(SlidingWindowCounter::new(rate(1, 10)));
    stays(TokenBucket::quota(1).unwrap());
}

#[test]
fn a_permit_keeps_for_an_interval_or_a_tick_of_the_timer() {
    let [second, fast] = [Rate::per_second(1), Rate::per_second(1_000_000)].map(Result::unwrap);
    let [interval, short] = [second, fast].map(|rate| Nanos::from(rate.interval()));
    assert_eq!(LeakyBucket::new(second).shelf_life(), interval);
    assert_eq!(LeakyBucket::new(fast).shelf_life(), WAKE_UP);
    assert_eq!(BurstCompensating::new(second).shelf_life(), interval);
    assert_eq!(BurstCompensating::new(fast).shelf_life(), WAKE_UP);
    assert_eq!(TokenBucket::new(second).shelf_life(), interval);
    assert_eq!(TokenBucket::new(fast).shelf_life(), WAKE_UP);
    assert_eq!(FixedWindow::new(fast).shelf_life(), WAKE_UP);
    assert_eq!(FixedWindow::new(rate(2, 20)).shelf_life(), Nanos::new(20));
    assert_eq!(SlidingWindowCounter::new(fast).shelf_life(), WAKE_UP);
    assert_eq!(SlidingWindowCounter::new(rate(2, 20)).shelf_life(), Nanos::new(20));
    // Longer, and two calls could come closer than the interval.
    assert_eq!(Strict::new(second).shelf_life(), interval);
    assert_eq!(Strict::new(fast).shelf_life(), short);
    assert_eq!(SlidingWindow::new(second).shelf_life(), interval);
    assert_eq!(SlidingWindow::new(fast).shelf_life(), WAKE_UP);
    // Longer than the window, and the window would have forgotten the permit.
    assert_eq!(SlidingWindow::new(rate(2, 20)).shelf_life(), Nanos::new(20));
}
