//! The published bounds hold, and some input reaches them.

use super::{
    ask, granted,
    histories::{History, check, walk},
    limits, pass_at, rate,
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::time::Duration;
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, FixedWindow, LeakyBucket, Nanos, Outcome, Rate,
    SlidingWindow, SlidingWindowCounter, Strict, Take, TokenBucket,
};

/// The most of these instants, in order, that a half-open window of this length holds.
pub(crate) fn fullest(instants: &[u64], length: u64) -> u64 {
    let mut first = 0;
    let mut most = 0;
    for (last, instant) in instants.iter().enumerate() {
        while instant - instants[first] >= length {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most as u64
}

/// Whether no window of any length holds more of these instants than the algorithm says.
pub(crate) fn keeps_its_bound(
    algorithm: &impl Algorithm,
    mut instants: Vec<u64>,
) -> TestCaseResult {
    instants.sort_unstable();
    let most_in = |length: u64| algorithm.most_in(Duration::from_nanos(length));
    prop_assert_eq!(most_in(0), 0);
    let interval = algorithm.interval().get();
    let period = algorithm.rate(0).map_or(interval, |rate| Nanos::from(rate.period()).get());
    let mut lengths = vec![1, 2, period.max(2) - 1, period, period + 1];
    lengths.extend((1..12).flat_map(|slots| [slots * interval, slots * interval + 1]));
    for length in lengths {
        let fullest = fullest(&instants, length);
        prop_assert!(fullest <= most_in(length), "{} in {}", fullest, length);
    }
    // Every number of calls has a shortest window that holds it: between two of the instants.
    for (index, start) in instants.iter().enumerate() {
        for (more, end) in instants[index..].iter().enumerate() {
            let (calls, length) = (more as u64 + 1, end - start + 1);
            prop_assert!(calls <= most_in(length), "{} in {} from {}", calls, length, start);
        }
    }
    Ok(())
}

/// Calls of cost 1 that mostly take whatever they can get.
fn greedy(algorithm: &impl Algorithm, history: &History) -> Vec<u64> {
    let mut state = Default::default();
    let mut instants = Vec::new();
    let (mut now, mut wait) = (history.start, 0);
    for step in &history.steps {
        now = step.pause.after(algorithm, now, wait);
        // The cost says how many calls come: one, a few, or as many as pass.
        for _ in 0..step.take.cost.min(100) {
            let queued = step.take.queued && !instants.is_empty();
            let take = Take { cost: 1, queued };
            let decision = ask(algorithm, &mut state, now, Ask::Take(take));
            wait = super::wait(decision).unwrap_or(0);
            if !decision.is_granted() {
                break;
            }
            instants.push(now);
        }
    }
    instants
}

/// The instant of every permit, whatever the calls cost.
fn holds_no_more_permits_either<A: Algorithm>(algorithm: A, history: History) -> TestCaseResult {
    let mut instants = Vec::new();
    walk(&algorithm, &history, |moment| {
        let permits = moment.decision.grant().map_or(0, |grant| grant.cost);
        instants.extend((0..permits).map(|_| moment.now));
        Ok(())
    })?;
    keeps_its_bound(&algorithm, instants)
}

#[test]
fn calls_of_any_cost_take_no_more_permits_than_the_bound() {
    check(limits::leaky_bucket(), holds_no_more_permits_either);
    check(limits::any_window(), holds_no_more_permits_either);
    check(limits::sliding_window(), holds_no_more_permits_either);
    check(limits::token_bucket(), holds_no_more_permits_either);
    check(limits::warming_bucket(), holds_no_more_permits_either);
    check(limits::quota(), holds_no_more_permits_either);
    check(limits::fixed_window(), holds_no_more_permits_either);
    check(limits::sliding_window_counter(), holds_no_more_permits_either);
}

#[test]
fn a_bucket_for_any_window_never_admits_more_than_the_permits_in_a_period() {
    check(limits::any_window(), |limit, history| {
        let rate = limit.rate(0).unwrap();
        let instants = greedy(&limit, &history);
        let most = fullest(&instants, Nanos::from(rate.period()).get());
        prop_assert!(most <= u64::from(rate.permits()));
        prop_assert!(limit.most_in(rate.period()) <= u64::from(rate.permits()));
        Ok(())
    });
}

#[test]
fn a_sliding_window_keeps_each_of_its_rates() {
    check(limits::sliding_window(), |limit, history| {
        let instants = greedy(&limit, &history);
        for rate in limit.rates() {
            let most = fullest(&instants, Nanos::from(rate.period()).get());
            prop_assert!(most <= u64::from(rate.permits()));
        }
        Ok(())
    });
}

#[test]
fn burst_compensating_without_late_releases_holds_one_call_per_interval() {
    check(limits::burst_compensating(), |limit, mut history| {
        for step in &mut history.steps {
            step.take.queued = false;
        }
        let strict = Strict::new(limit.rate(0).unwrap());
        keeps_its_bound(&strict, greedy(&limit, &history))
    });
}

/// As many calls as pass, at once and then at the very instants that the refusals name.
fn as_early_as_possible(algorithm: &impl Algorithm, calls: usize) -> Vec<u64> {
    let mut state = Default::default();
    let (mut now, mut instants) = (7, Vec::new());
    while instants.len() < calls {
        let decision = ask(algorithm, &mut state, now, Ask::Take(Take::fresh(1)));
        match decision.outcome {
            Outcome::Granted(_) => instants.push(now),
            Outcome::Later(wait) if wait > Nanos::ZERO => now += wait.get(),
            refused => panic!("{refused:?} at {now}"),
        }
    }
    instants
}

fn reaches(algorithm: &impl Algorithm, instants: &[u64], lengths: impl IntoIterator<Item = u64>) {
    for length in lengths {
        assert_eq!(
            fullest(instants, length),
            algorithm.most_in(Duration::from_nanos(length)),
            "in {length} ns"
        );
    }
}

#[test]
fn a_full_bucket_and_its_drain_reach_the_bound() {
    for capacity in [1, 2, 7] {
        // 100 ns by 3 is 34 ns when rounded up.
        let limit = LeakyBucket::new(rate(3, 100)).capacity(capacity).unwrap();
        assert_eq!(limit.interval(), Nanos::new(34));
        let instants = as_early_as_possible(&limit, 40);
        reaches(&limit, &instants, [1, 2, 33, 34, 35, 68, 69, 99, 100, 101, 340]);
        let most_in = |length| limit.most_in(Duration::from_nanos(length));
        assert_eq!(most_in(34), u64::from(capacity));
        assert_eq!(most_in(35), u64::from(capacity) + 1);
    }
}

#[test]
fn a_bucket_for_any_window_reaches_the_permits_in_a_period() {
    // A period that all numbers up to eight divide.
    for permits in 1..=8 {
        for capacity in 1..=permits {
            let limit = LeakyBucket::any_window(rate(permits, 840), capacity).unwrap();
            let instants = as_early_as_possible(&limit, 40);
            assert_eq!(fullest(&instants, 840), u64::from(permits));
            reaches(&limit, &instants, [1, 105, 106, 839, 840, 841, 1680, 1681]);
        }
    }
}

#[test]
fn strict_calls_as_early_as_possible_reach_the_bound() {
    let limit = Strict::new(rate(3, 100));
    let instants = as_early_as_possible(&limit, 40);
    reaches(&limit, &instants, [1, 2, 33, 34, 35, 68, 69, 99, 100, 101, 340]);
    assert_eq!(limit.most_in(Duration::from_nanos(34)), 1);
    assert_eq!(limit.most_in(Duration::from_nanos(35)), 2);
}

#[test]
fn a_late_release_right_before_the_next_slot_reaches_the_bound() {
    for max_burst in [1, 2, 5] {
        let limit = BurstCompensating::new(rate(3, 100)).max_burst(max_burst).unwrap();
        let mut state = Default::default();
        granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
        let mut instants = Vec::new();
        // Far more slots have passed than are kept; the next one comes a nanosecond later.
        let late = 34 * 20 - 1;
        for now in [late].into_iter().chain((20..40).map(|slot| slot * 34)) {
            let passed =
                (0..30).filter(|_| granted(&limit, &mut state, now, Take::queued(1)).is_some());
            instants.extend(passed.map(|_| now));
        }
        reaches(&limit, &instants, [1, 2, 34, 35, 36, 68, 69, 99, 100, 101, 340]);
        let most_in = |length| limit.most_in(Duration::from_nanos(length));
        assert_eq!(most_in(1), u64::from(max_burst));
        assert_eq!(most_in(35), u64::from(max_burst) + 1);
        assert_eq!(most_in(36), u64::from(max_burst) + 2);
    }
}

#[test]
fn full_windows_one_after_another_reach_the_bound() {
    for permits in [1, 3] {
        let limit = SlidingWindow::new(rate(permits, 100));
        let instants = as_early_as_possible(&limit, 40);
        reaches(&limit, &instants, [1, 2, 33, 99, 100, 101, 200, 201, 1000]);
        let most_in = |length| limit.most_in(Duration::from_nanos(length));
        assert_eq!(most_in(100), u64::from(permits));
        assert_eq!(most_in(101), u64::from(permits) * 2);
    }
}

#[test]
fn several_rates_together_reach_the_bound_of_whichever_is_binding() {
    let limit = SlidingWindow::all([rate(2, 10), rate(3, 15)]).unwrap();
    let instants = as_early_as_possible(&limit, 5);
    assert_eq!(instants, [7, 7, 17, 22, 27]);
    reaches(&limit, &instants, [1, 2, 9, 10, 11, 14, 15, 16]);
    let three = SlidingWindow::all([rate(2, 10), rate(5, 30), rate(7, 90)]).unwrap();
    let instants = as_early_as_possible(&three, 30);
    reaches(&three, &instants, [1, 10, 11, 20, 21, 30, 61, 89, 90]);
}

/// As many calls as pass at each of these instants.
fn at_these(algorithm: &impl Algorithm, instants: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut state = Default::default();
    let mut passed = |now| vec![now; pass_at(algorithm, &mut state, now, 999)];
    instants.into_iter().flat_map(&mut passed).collect()
}

#[test]
fn a_token_bucket_that_lacks_one_right_before_it_is_refilled_reaches_the_bound() {
    for (amount, capacity) in [(1, 1), (1, 4), (3, 3), (3, 7)] {
        let limit = TokenBucket::new(rate(amount, 100)).capacity(capacity).unwrap();
        let full = at_these(&limit, (0..9).map(|tick| tick * 100));
        reaches(&limit, &full, [1, 101, 201, 301]);
        for before in [1, 2, 50, 99] {
            let mut state = Default::default();
            granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
            let mut instants = Vec::new();
            for now in [100 - before].into_iter().chain((1..9).map(|tick| tick * 100)) {
                instants.extend(vec![now; pass_at(&limit, &mut state, now, 99)]);
            }
            let lengths = [before + 1, before + 101, before + 201];
            if capacity > 1 {
                reaches(&limit, &instants, lengths);
            }
        }
        let most_in = |length| limit.most_in(Duration::from_nanos(length));
        let [amount, capacity] = [amount, capacity].map(u64::from);
        assert_eq!(most_in(2), capacity + amount - 1);
        assert_eq!(most_in(100), capacity + amount - 1);
        assert_eq!(most_in(101), capacity + amount);
    }
}

#[test]
fn a_full_bucket_right_before_a_fixed_tick_reaches_the_bound() {
    for (amount, capacity) in [(1, 1), (1, 4), (3, 3), (3, 7)] {
        let limit = TokenBucket::new(rate(amount, 100)).capacity(capacity).unwrap();
        let limit = limit.aligned_to(Duration::from_nanos(7));
        let instants = at_these(&limit, [106].into_iter().chain((1..9).map(|at| at * 100 + 7)));
        reaches(&limit, &instants, [1, 2, 3, 99, 100, 101, 102, 103, 201, 202]);
        let most_in = |length| limit.most_in(Duration::from_nanos(length));
        assert_eq!(most_in(2), u64::from(capacity + amount));
    }
}

/// The caveat of fixed windows, and that it is no worse.
#[test]
fn two_fixed_windows_hold_twice_the_permits_at_their_edge() {
    let aligned = FixedWindow::new(rate(3, 100)).aligned_to(Duration::ZERO);
    let instants = at_these(&aligned, [99, 100, 200, 300]);
    reaches(&aligned, &instants, [1, 2, 100, 101, 102, 201, 202]);
    assert_eq!(aligned.most_in(Duration::from_nanos(2)), 6);
    assert_eq!(aligned.most_in(Duration::from_nanos(101)), 6);
    assert_eq!(aligned.most_in(Duration::from_nanos(102)), 9);
    let first_use = FixedWindow::new(rate(3, 100));
    let mut state = Default::default();
    granted(&first_use, &mut state, 0, Take::fresh(1)).unwrap();
    let passed = [99, 100, 200].map(|now| pass_at(&first_use, &mut state, now, 9));
    assert_eq!(passed, [2, 3, 3]);
    assert_eq!(first_use.most_in(Duration::from_nanos(2)), 5);
    assert_eq!(first_use.most_in(Duration::from_nanos(101)), 6);
    assert_eq!(first_use.most_in(Duration::from_nanos(102)), 8);
}

#[test]
fn a_counted_window_full_at_its_last_instant_reaches_the_bound() {
    for permits in [1, 2, 3, 7, 40, 100] {
        let limit = SlidingWindowCounter::new(rate(permits, 100));
        // As many as pass at the last instant of the window and at every one from then on; a
        // sliding window has to end where it is measured, so each length has its own calls.
        for length in [1, 2, 3, 50, 51, 99, 100, 101, 102, 150, 200, 201, 202, 301, 302, 399] {
            let last = 99 + length - 1;
            let edges = [99, 199, 299, 399, 499].into_iter().filter(|edge| *edge < last);
            let instants = at_these(&limit, edges.chain([last]));
            reaches(&limit, &instants, [length]);
        }
    }
}

#[test]
fn a_quota_is_reached_in_any_window() {
    let limit = TokenBucket::quota(3).unwrap();
    let instants = at_these(&limit, [0, 100, 200]);
    reaches(&limit, &instants, [1, 2, 100, 1000]);
}

/// R34 of the specification.
#[test]
fn three_a_second_and_four_in_a_second_and_a_half_hold_together() {
    let millisecond = 1_000_000;
    let rates = [rate(3, 1000 * millisecond), rate(4, 1500 * millisecond)];
    let limit = SlidingWindow::all(rates).unwrap();
    let mut log = Default::default();
    assert_eq!(pass_at(&limit, &mut log, 0, 9), 3);
    let refused = ask(&limit, &mut log, 0, Ask::Take(Take::fresh(1)));
    assert_eq!((refused.rate, refused.limit), (0, 3));
    assert_eq!(pass_at(&limit, &mut log, 1000 * millisecond, 9), 1);
    let refused = ask(&limit, &mut log, 1000 * millisecond, Ask::Take(Take::fresh(1)));
    assert_eq!((refused.rate, refused.limit), (1, 4));
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(500)));
}

/// R8 of the specification.
#[test]
fn denied_until_the_period_ends() {
    let limit = SlidingWindow::new(Rate::new(1, Duration::from_millis(100)).unwrap());
    let mut log = Default::default();
    let passed = [0, 99_999_999, 100_000_000].map(|now| pass_at(&limit, &mut log, now, 1));
    assert_eq!(passed, [1, 0, 1]);
}
