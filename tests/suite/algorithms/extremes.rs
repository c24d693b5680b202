//! The slowest, the fastest and the largest, up to the end of the time line.

use super::{ask, pass_at};
use std::time::Duration;
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, FixedWindow, Grant, LeakyBucket, Nanos, Outcome, Rate,
    SlidingWindow, SlidingWindowCounter, Strict, Take, TokenBucket,
};

const YEAR: u64 = 365 * 86_400;
const END: u64 = u64::MAX;

fn slow() -> Rate {
    Rate::new(1, Duration::from_secs(10 * YEAR)).unwrap()
}

fn slowest() -> Rate {
    Rate::new(1, Duration::from_secs(25 * YEAR)).unwrap()
}

fn fastest() -> Rate {
    Rate::per_second(1_000_000_000).unwrap()
}

/// The most permits in the shortest time that has them.
fn densest() -> Rate {
    Rate::new(u32::MAX, Duration::from_nanos(u64::from(u32::MAX))).unwrap()
}

const INSTANTS: [u64; 12] = [
    0,
    1,
    1_000_000_000,
    END / 2,
    END - 1_000_000_000,
    END - 1,
    END,
    // And back again.
    END - 1,
    END / 2,
    2,
    1,
    0,
];

/// Every ask at every extreme instant, with every extreme grant; no more pass at an instant than
/// the bound says.
fn survives<A: Algorithm>(algorithm: A) {
    for length in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_secs(YEAR),
        Duration::from_nanos(END),
        Duration::MAX,
    ] {
        let _ = algorithm.most_in(length);
    }
    let at_once = algorithm.most_in(Duration::from_nanos(1));
    let mut state = A::State::default();
    for now in INSTANTS {
        let mut passed = 0;
        for cost in [1, 0, 1, u32::MAX, 1, u32::MAX / 2, 1] {
            for take in [Take::fresh(cost), Take::queued(cost)] {
                let peek = ask(&algorithm, &mut state, now, Ask::Peek(take));
                let taken = ask(&algorithm, &mut state, now, Ask::Take(take));
                assert_eq!(peek.retry_after(), taken.retry_after());
                let _ = algorithm.new_at(&state);
                passed += u64::from(taken.grant().map_or(0, |grant| grant.cost.min(1)));
            }
        }
        assert!(passed <= at_once, "{passed} at {now}");
        let mut other = state.clone();
        for cost in [0, 1, u32::MAX] {
            for at in [now, 0, END] {
                let grant = Grant { cost, at: Nanos::new(at) };
                for next in [Ask::Renew(grant), Ask::GiveBack(grant)] {
                    assert!(ask(&algorithm, &mut other, now, next).is_granted());
                    let _ = algorithm.new_at(&other);
                }
            }
            assert!(ask(&algorithm, &mut other, now, Ask::Charge(cost)).is_granted());
            let _ = algorithm.new_at(&other);
            algorithm.carry_over(&algorithm, &mut other, Nanos::new(now));
        }
    }
}

#[test]
fn a_leaky_bucket_survives_all_extremes() {
    for rate in [slow(), slowest(), fastest(), densest()] {
        survives(LeakyBucket::new(rate));
        survives(LeakyBucket::new(rate).capacity(1).unwrap());
        survives(LeakyBucket::any_window(rate, 1).unwrap());
    }
    survives(LeakyBucket::new(fastest()).capacity(u32::MAX).unwrap());
    survives(LeakyBucket::any_window(fastest(), 1_000_000_000).unwrap());
    survives(LeakyBucket::any_window(densest(), u32::MAX / 2).unwrap());
}

#[test]
fn strict_survives_all_extremes() {
    for rate in [slow(), slowest(), fastest(), densest()] {
        survives(Strict::new(rate));
    }
}

#[test]
fn burst_compensating_survives_all_extremes() {
    for rate in [slow(), slowest(), fastest(), densest()] {
        survives(BurstCompensating::new(rate));
        survives(BurstCompensating::new(rate).max_burst(1).unwrap());
    }
    let most = BurstCompensating::new(fastest()).max_burst(u32::MAX);
    survives(most.unwrap());
}

#[test]
fn a_sliding_window_survives_all_extremes() {
    for rate in [slow(), slowest(), fastest(), densest()] {
        survives(SlidingWindow::new(rate));
    }
    let most = Rate::new(u32::MAX, Duration::from_secs(25 * YEAR)).unwrap();
    survives(SlidingWindow::all([fastest(), most]).unwrap());
    survives(SlidingWindow::all([densest()]).unwrap());
}

#[test]
fn a_token_bucket_survives_all_extremes() {
    for rate in [slow(), slowest(), fastest(), densest()] {
        for bucket in [TokenBucket::new(rate), TokenBucket::new(rate).initial(0).unwrap()] {
            survives(bucket);
            survives(bucket.aligned_to(Duration::from_nanos(7)));
            survives(bucket.aligned_to(Duration::MAX));
        }
    }
    survives(TokenBucket::new(fastest()).capacity(u32::MAX).unwrap());
    survives(TokenBucket::quota(u32::MAX).unwrap());
}

#[test]
fn a_fixed_window_survives_all_extremes() {
    for rate in [slow(), slowest(), fastest(), densest()] {
        survives(FixedWindow::new(rate));
        survives(FixedWindow::new(rate).aligned_to(Duration::MAX));
    }
}

#[test]
fn a_sliding_window_counter_survives_all_extremes() {
    for rate in [slow(), slowest(), fastest(), densest()] {
        survives(SlidingWindowCounter::new(rate));
    }
}

#[test]
fn one_in_ten_years_is_one_in_ten_years() {
    let ten_years = 10 * YEAR * 1_000_000_000;
    fn check<A: Algorithm>(limit: A, ten_years: u64) {
        let mut state = A::State::default();
        for now in [0, ten_years, 2 * ten_years] {
            assert_eq!(pass_at(&limit, &mut state, now, 2), 1);
            let almost = now + ten_years - 1;
            assert_eq!(pass_at(&limit, &mut state, almost, 1), 0);
        }
    }
    check(LeakyBucket::new(slow()).capacity(1).unwrap(), ten_years);
    check(Strict::new(slow()), ten_years);
    check(BurstCompensating::new(slow()), ten_years);
    check(SlidingWindow::new(slow()), ten_years);
    check(TokenBucket::new(slow()), ten_years);
    check(TokenBucket::new(slow()).aligned_to(Duration::ZERO), ten_years);
    check(FixedWindow::new(slow()), ten_years);
}

#[test]
fn a_billion_a_second_is_one_each_nanosecond() {
    fn check<A: Algorithm>(limit: A) {
        let mut state = A::State::default();
        for now in 0..100 {
            assert_eq!(pass_at(&limit, &mut state, now, 2), 1);
        }
    }
    check(LeakyBucket::new(fastest()).capacity(1).unwrap());
    check(Strict::new(fastest()));
    check(BurstCompensating::new(fastest()).max_burst(1).unwrap());
    let single = Rate::new(1, Duration::from_nanos(1)).unwrap();
    check(SlidingWindow::new(single));
    check(TokenBucket::new(single));
    check(FixedWindow::new(single));
}

#[test]
fn the_largest_cost_fits_into_the_largest_limit() {
    fn outcome<A: Algorithm>(limit: A) -> Outcome {
        ask(&limit, &mut A::State::default(), 0, Ask::Take(Take::fresh(u32::MAX))).outcome
    }
    let granted = |outcome| matches!(outcome, Outcome::Granted(grant) if grant.cost == u32::MAX);
    let bucket = LeakyBucket::new(fastest()).capacity(u32::MAX).unwrap();
    assert!(granted(outcome(bucket)));
    assert!(granted(outcome(SlidingWindow::new(densest()))));
    assert!(granted(outcome(TokenBucket::new(densest()))));
    assert!(granted(outcome(TokenBucket::quota(u32::MAX).unwrap())));
    assert!(granted(outcome(FixedWindow::new(densest()))));
    assert!(granted(outcome(SlidingWindowCounter::new(densest()))));
    assert!(granted(outcome(Strict::new(fastest()))));
    assert!(granted(outcome(BurstCompensating::new(fastest()))));

    let smaller = bucket.capacity(u32::MAX - 1).unwrap();
    assert_eq!(outcome(smaller), Outcome::Never);
    assert_eq!(outcome(SlidingWindow::new(fastest())), Outcome::Never);
    assert_eq!(outcome(TokenBucket::new(fastest())), Outcome::Never);
    assert_eq!(outcome(TokenBucket::quota(u32::MAX - 1).unwrap()), Outcome::Never);
    assert_eq!(outcome(FixedWindow::new(fastest())), Outcome::Never);
    assert_eq!(outcome(SlidingWindowCounter::new(fastest())), Outcome::Never);
    assert_eq!(outcome(Strict::new(slow())), Outcome::Never);
    assert_eq!(outcome(BurstCompensating::new(slow())), Outcome::Never);
}

#[test]
fn a_cost_that_takes_longer_than_250_years_never_fits() {
    fn check<A: Algorithm>(limit: A) {
        let decide = |cost| {
            let mut state = A::State::default();
            ask(&limit, &mut state, 0, Ask::Take(Take::fresh(cost))).outcome
        };
        assert!(matches!(decide(25), Outcome::Granted(_)));
        assert_eq!(decide(26), Outcome::Never);
    }
    check(Strict::new(slow()));
    check(BurstCompensating::new(slow()));
}

#[test]
fn nothing_is_let_go_whose_end_is_beyond_the_time_line() {
    fn check<A: Algorithm>(limit: A) {
        let mut state = A::State::default();
        let second = 1_000_000_000;
        assert_eq!(pass_at(&limit, &mut state, END - second + 1, 1), 0);
        assert_eq!(pass_at(&limit, &mut state, END - second, 1), 1);
        assert_eq!(pass_at(&limit, &mut state, END, 1), 0);
    }
    let rate = Rate::per_second(1).unwrap();
    check(LeakyBucket::new(rate));
    check(Strict::new(rate));
    check(BurstCompensating::new(rate));
    check(TokenBucket::new(rate));
    check(FixedWindow::new(rate));
}

#[test]
fn the_last_windows_of_the_time_line_hold_no_more_than_the_others() {
    let limit = SlidingWindow::new(Rate::per_second(3).unwrap());
    let mut log = Default::default();
    let passed = [END - 5, END - 1, END].map(|now| pass_at(&limit, &mut log, now, 9));
    assert_eq!(passed, [3, 0, 0]);
}
