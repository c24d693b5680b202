//! What the windows that only count do, case by case.

use super::{ask, granted, pass_at, rate};
use std::time::Duration;
use tower_ratelimit::{Algorithm, Ask, FixedWindow, Nanos, SlidingWindowCounter, Take};

fn passed<A: Algorithm, const N: usize>(
    limit: &A,
    state: &mut A::State,
    instants: [u64; N],
) -> [usize; N] {
    instants.map(|now| pass_at(limit, state, now, 9))
}

#[test]
fn a_fixed_window_begins_with_the_first_call_after_the_one_before() {
    let limit = FixedWindow::new(rate(2, 100));
    let mut state = Default::default();
    assert_eq!(
        passed(&limit, &mut state, [30, 129, 130, 229, 290, 389, 390]),
        [2, 0, 2, 0, 2, 0, 2]
    );
}

#[test]
fn an_aligned_window_begins_where_it_is_told() {
    let limit = FixedWindow::new(rate(2, 100)).aligned_to(Duration::from_nanos(230));
    let mut state = Default::default();
    assert_eq!(passed(&limit, &mut state, [0, 29, 30, 129, 130, 290, 329]), [2, 0, 2, 0, 2, 2, 0]);
}

#[test]
fn a_charge_beyond_a_fixed_window_is_taken_from_the_next_ones() {
    let limit = FixedWindow::new(rate(2, 100));
    let mut state = Default::default();
    let _ = ask(&limit, &mut state, 0, Ask::Charge(5));
    let refused = ask(&limit, &mut state, 0, Ask::Take(Take::fresh(1)));
    assert_eq!(super::wait(refused), Some(200));
    assert_eq!(passed(&limit, &mut state, [100, 199, 200, 300]), [0, 0, 1, 2]);
}

#[test]
fn a_permit_of_a_fixed_window_goes_back_only_while_that_lasts() {
    let limit = FixedWindow::new(rate(2, 100));
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, 0, Take::fresh(2)).unwrap();
    let mut within = state;
    let _ = ask(&limit, &mut within, 99, Ask::GiveBack(grant));
    assert_eq!(pass_at(&limit, &mut within, 99, 9), 2);
    assert_eq!(pass_at(&limit, &mut state, 100, 9), 2);
    let _ = ask(&limit, &mut state, 101, Ask::GiveBack(grant));
    assert_eq!(pass_at(&limit, &mut state, 101, 9), 0);
}

#[test]
fn the_used_permits_of_a_window_stay_used_when_their_number_changes() {
    let [three, five, one] = [3, 5, 1].map(|permits| FixedWindow::new(rate(permits, 100)));
    let mut used = Default::default();
    assert_eq!(pass_at(&three, &mut used, 0, 2), 2);
    let mut more = used;
    five.carry_over(&three, &mut more, Nanos::new(50));
    assert_eq!(passed(&five, &mut more, [50, 99, 100]), [3, 0, 5]);
    let mut fewer = used;
    one.carry_over(&three, &mut fewer, Nanos::new(50));
    assert_eq!(passed(&one, &mut fewer, [50, 100, 199, 200]), [0, 0, 0, 1]);
}

#[test]
fn the_window_before_fades_as_this_one_goes_on() {
    let limit = SlidingWindowCounter::new(rate(4, 100));
    let mut counts = Default::default();
    assert_eq!(pass_at(&limit, &mut counts, 99, 9), 4);
    let refused = ask(&limit, &mut counts, 100, Ask::Take(Take::fresh(1)));
    assert_eq!(super::wait(refused), Some(25));
    // A part of a permit counts as a whole one.
    let found = passed(&limit, &mut counts, [124, 125, 149, 150, 175, 199]);
    assert_eq!(found, [0, 1, 0, 1, 1, 0]);
    // Now the three of this window fade.
    assert_eq!(passed(&limit, &mut counts, [200, 233, 234, 266, 267]), [1, 0, 1, 0, 1]);
}

#[test]
fn a_wait_can_reach_into_the_next_window_and_the_one_after() {
    let limit = SlidingWindowCounter::new(rate(4, 100));
    let mut counts = Default::default();
    granted(&limit, &mut counts, 10, Take::fresh(3)).unwrap();
    let wait =
        |counts: &mut _, cost| super::wait(ask(&limit, counts, 20, Ask::Take(Take::fresh(cost))));
    // Two of three fit when a third has faded, all four when nothing is left.
    assert_eq!(wait(&mut counts, 2), Some(80 + 34));
    assert_eq!(wait(&mut counts, 4), Some(80 + 100));
}

#[test]
fn a_charge_counts_until_its_windows_are_over() {
    let limit = SlidingWindowCounter::new(rate(4, 100));
    let mut counts = Default::default();
    let charged = ask(&limit, &mut counts, 50, Ask::Charge(40));
    assert_eq!((charged.remaining, charged.full_after), (0, Nanos::new(150)));
    let refused = ask(&limit, &mut counts, 50, Ask::Take(Take::fresh(1)));
    assert_eq!(super::wait(refused), Some(143));
    assert_eq!(passed(&limit, &mut counts, [192, 193, 200]), [0, 1, 3]);
}

#[test]
fn a_permit_goes_back_to_the_window_in_which_it_was_granted() {
    let limit = SlidingWindowCounter::new(rate(4, 100));
    let mut counts = Default::default();
    let first = granted(&limit, &mut counts, 99, Take::fresh(4)).unwrap();
    let second = granted(&limit, &mut counts, 150, Take::fresh(2)).unwrap();
    let mut without_first = counts;
    let _ = ask(&limit, &mut without_first, 150, Ask::GiveBack(first));
    assert_eq!(pass_at(&limit, &mut without_first, 150, 9), 2);
    let mut without_second = counts;
    let _ = ask(&limit, &mut without_second, 175, Ask::GiveBack(second));
    assert_eq!(pass_at(&limit, &mut without_second, 175, 9), 3);
    // Two windows later nothing is left of it.
    assert_eq!(pass_at(&limit, &mut counts, 250, 9), 3);
    let _ = ask(&limit, &mut counts, 250, Ask::GiveBack(first));
    assert_eq!(pass_at(&limit, &mut counts, 250, 9), 0);
}

#[test]
fn the_estimate_stays_when_the_rate_changes() {
    let limit = SlidingWindowCounter::new(rate(4, 100));
    let mut counts = Default::default();
    assert_eq!(pass_at(&limit, &mut counts, 99, 9), 4);
    // Two of the four count still.
    let more = SlidingWindowCounter::new(rate(6, 100));
    let mut same_period = counts;
    more.carry_over(&limit, &mut same_period, Nanos::new(150));
    assert_eq!(passed(&more, &mut same_period, [150, 175]), [4, 1]);
    let longer = SlidingWindowCounter::new(rate(6, 1000));
    longer.carry_over(&limit, &mut counts, Nanos::new(150));
    assert_eq!(passed(&longer, &mut counts, [150, 999]), [4, 0]);
}

#[test]
fn a_clock_set_back_finds_the_latest_window() {
    let limit = SlidingWindowCounter::new(rate(4, 100));
    let mut counts = Default::default();
    granted(&limit, &mut counts, 250, Take::fresh(3)).unwrap();
    let grant = granted(&limit, &mut counts, 20, Take::fresh(1)).unwrap();
    assert_eq!(grant.at, Nanos::new(200));
    let refused = ask(&limit, &mut counts, 20, Ask::Take(Take::fresh(1)));
    assert_eq!(super::wait(refused), Some(305));
    let _ = ask(&limit, &mut counts, 20, Ask::GiveBack(grant));
    assert_eq!(pass_at(&limit, &mut counts, 20, 9), 1);
}
