//! From `new_at` on a state may be forgotten, and not a nanosecond earlier.

use super::{
    ask, granted,
    histories::{History, walk},
    limits::for_each_algorithm,
    pass_at, rate,
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::{fmt::Debug, time::Duration};
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, FixedWindow, LeakyBucket, Nanos, SlidingWindow,
    SlidingWindowCounter, Strict, Take, TokenBucket,
};

for_each_algorithm![one_nanosecond_before_new_at_some_answer_is_not_that_of_a_new_state,];

fn one_nanosecond_before_new_at_some_answer_is_not_that_of_a_new_state<A: Algorithm>(
    algorithm: A,
    history: History,
) -> TestCaseResult {
    walk(&algorithm, &history, |moment| {
        let new_at = algorithm.new_at(moment.after).get();
        if new_at > moment.now {
            let before = new_at - 1;
            let [old, new] = [moment.after.clone(), A::State::default()]
                .map(|mut state| ask(&algorithm, &mut state, before, Ask::Peek(Take::fresh(0))));
            prop_assert_ne!(old, new);
        }
        Ok(())
    })
}

fn of<A: Algorithm>(algorithm: &A, state: &A::State) -> u64 {
    algorithm.new_at(state).get()
}

#[test]
fn a_bucket_is_new_when_it_is_empty() {
    let limit = LeakyBucket::new(rate(1, 10)).capacity(3).unwrap();
    let mut empty_at = Default::default();
    granted(&limit, &mut empty_at, 5, Take::fresh(2)).unwrap();
    assert_eq!(of(&limit, &empty_at), 25);
    assert_eq!(pass_at(&limit, &mut empty_at.clone(), 24, 9), 2);
    assert_eq!(pass_at(&limit, &mut empty_at, 25, 9), 3);
}

#[test]
fn a_strict_limit_is_new_when_the_gap_is_over() {
    let limit = Strict::new(rate(1, 10));
    let mut next = Default::default();
    granted(&limit, &mut next, 5, Take::fresh(2)).unwrap();
    assert_eq!(of(&limit, &next), 25);
    assert_eq!(pass_at(&limit, &mut next.clone(), 24, 9), 0);
    assert_eq!(pass_at(&limit, &mut next, 25, 9), 1);
}

#[test]
fn a_grid_is_new_when_the_time_to_catch_up_is_over() {
    let limit = BurstCompensating::new(rate(1, 10));
    let mut state = Default::default();
    granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    granted(&limit, &mut state, 38, Take::queued(1)).unwrap();
    assert_eq!(of(&limit, &state), 48);
    // The slots 20, 30 and 40 may be taken until then; afterwards a call begins a new grid.
    assert_eq!(pass_at(&limit, &mut state.clone(), 47, 9), 3);
    assert_eq!(pass_at(&limit, &mut state, 48, 9), 1);
}

#[test]
fn a_log_is_new_when_its_last_call_has_left_the_longest_window() {
    let limit = SlidingWindow::all([rate(1, 10), rate(2, 50)]).unwrap();
    let mut log = Default::default();
    granted(&limit, &mut log, 0, Take::fresh(1)).unwrap();
    granted(&limit, &mut log, 10, Take::fresh(1)).unwrap();
    assert_eq!(of(&limit, &log), 60);
    let remaining = |now| ask(&limit, &mut log.clone(), now, Ask::Peek(Take::fresh(0))).full_after;
    assert_eq!(remaining(59), Nanos::new(1));
    assert_eq!(remaining(60), Nanos::ZERO);
}

fn unused<A: Algorithm<State: PartialEq + Debug>>(limit: A) {
    let mut state = A::State::default();
    let _ = ask(&limit, &mut state, 0, Ask::Take(Take::fresh(0)));
    assert_eq!(state, A::State::default());
    assert_eq!(limit.new_at(&state), Nanos::ZERO);
}

#[test]
fn what_was_never_used_is_new_from_the_beginning() {
    unused(LeakyBucket::new(rate(1, 10)));
    unused(Strict::new(rate(1, 10)));
    unused(BurstCompensating::new(rate(1, 10)));
    unused(SlidingWindow::new(rate(1, 10)));
    unused(TokenBucket::new(rate(1, 10)));
    unused(TokenBucket::new(rate(1, 10)).initial(0).unwrap());
    unused(TokenBucket::quota(1).unwrap());
    unused(FixedWindow::new(rate(1, 10)));
    unused(SlidingWindowCounter::new(rate(1, 10)));
}

#[test]
fn a_fixed_window_is_new_when_it_ends() {
    for (limit, end) in [
        (FixedWindow::new(rate(2, 10)), 15),
        (FixedWindow::new(rate(2, 10)).aligned_to(Duration::from_nanos(3)), 13),
    ] {
        let mut state = Default::default();
        granted(&limit, &mut state, 5, Take::fresh(1)).unwrap();
        assert_eq!(of(&limit, &state), end);
        assert_eq!(pass_at(&limit, &mut state.clone(), end - 1, 9), 1);
        assert_eq!(pass_at(&limit, &mut state, end, 9), 2);
    }
}

#[test]
fn two_counters_are_new_when_the_window_after_the_last_call_ends() {
    let limit = SlidingWindowCounter::new(rate(2, 10));
    let mut counts = Default::default();
    granted(&limit, &mut counts, 5, Take::fresh(1)).unwrap();
    assert_eq!(of(&limit, &counts), 20);
    assert_eq!(pass_at(&limit, &mut counts.clone(), 19, 9), 1);
    assert_eq!(pass_at(&limit, &mut counts, 20, 9), 2);
}

#[test]
fn what_is_spent_for_good_is_never_new() {
    let quota = TokenBucket::quota(2).unwrap();
    let mut used = Default::default();
    let grant = granted(&quota, &mut used, 0, Take::fresh(1)).unwrap();
    assert_eq!(of(&quota, &used), u64::MAX);
    let _ = ask(&quota, &mut used, 5, Ask::GiveBack(grant));
    assert_eq!(of(&quota, &used), 0);
    // Full, it would hold more than a new one.
    let warming = TokenBucket::new(rate(2, 10)).initial(1).unwrap();
    let mut tokens = Default::default();
    granted(&warming, &mut tokens, 0, Take::fresh(1)).unwrap();
    assert_eq!(of(&warming, &tokens), u64::MAX);
}
