//! The same answers as the oracles, step by step.

use super::{
    ask, granted,
    histories::{History, Pause, check_with, history, pause, walk},
    limits,
    naive::{Answer, Bucket, Counted, Gap, Grid, Heap, List, Naive, Purse, Window},
};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, FixedWindow, LeakyBucket, Nanos, Outcome, Rate,
    SlidingWindow, SlidingWindowCounter, Strict, Take, TokenBucket,
};

fn period(rate: Rate) -> u64 {
    Nanos::from(rate.period()).get()
}

fn list(limit: &SlidingWindow) -> List {
    List::new(limit.rates().iter().map(|rate| (rate.permits(), period(*rate))))
}

pub(super) fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Granted(_) => Answer::Now,
        Outcome::Later(wait) => Answer::Later(wait.get()),
        Outcome::Exhausted => Answer::Exhausted,
        Outcome::Never => Answer::Never,
        other => panic!("not an answer of an oracle: {other:?}"),
    }
}

/// The same decisions, waits and numbers after every step.
fn agrees(algorithm: &impl Algorithm, mut naive: impl Naive, history: &History) -> TestCaseResult {
    walk(algorithm, history, |moment| {
        let now = moment.now;
        let expected = naive.call(now, moment.take.cost, moment.take.queued);
        let decision = moment.decision;
        prop_assert_eq!(answer(decision.outcome), expected, "at {}", now);
        if let Some(grant) = decision.grant() {
            prop_assert_eq!((grant.cost, grant.at.get()), (moment.take.cost, now));
            let remaining = naive.remaining(now, decision.limit);
            prop_assert_eq!(decision.remaining, remaining);
        }
        let full_after = naive.full_at(now).saturating_sub(now);
        prop_assert_eq!(decision.full_after.get(), full_after);
        let new_at = algorithm.new_at(moment.after).get();
        prop_assert!(new_at == naive.new_at() || new_at.max(naive.new_at()) <= now);
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_leaky_bucket_is_a_level_that_drains_on_a_grid(
        rate in limits::one_rate(),
        capacity in 1..=6u32,
        history in history(),
    ) {
        let limit = LeakyBucket::new(rate).capacity(capacity).unwrap();
        agrees(&limit, Bucket::new(rate.permits(), period(rate), capacity), &history)?;
    }

    #[test]
    fn a_bucket_for_any_window_drains_what_its_burst_leaves_of_the_rate(
        rate in limits::one_rate(),
        capacity in any::<Index>(),
        history in history(),
    ) {
        let capacity = capacity.index(rate.permits() as usize) as u32 + 1;
        let limit = LeakyBucket::any_window(rate, capacity).unwrap();
        let drained = rate.permits() - capacity + 1;
        agrees(&limit, Bucket::new(drained, period(rate), capacity), &history)?;
    }

    #[test]
    fn strict_keeps_its_distance_from_the_last_release(
        rate in limits::one_rate(),
        history in history(),
    ) {
        agrees(&Strict::new(rate), Gap::new(rate.permits(), period(rate)), &history)?;
    }

    #[test]
    fn burst_compensating_lets_go_one_call_for_each_slot_of_its_grid(
        rate in limits::one_rate(),
        max_burst in 1..=5u32,
        history in history(),
    ) {
        let limit = BurstCompensating::new(rate).max_burst(max_burst).unwrap();
        agrees(&limit, Grid::new(rate.permits(), period(rate), max_burst), &history)?;
    }

    #[test]
    fn a_sliding_window_counts_a_list_of_calls(
        rates in limits::rates(),
        history in history(),
    ) {
        let limit = SlidingWindow::all(rates).unwrap();
        agrees(&limit, list(&limit), &history)?;
    }

    #[test]
    fn a_token_bucket_is_a_heap_that_grows_on_a_grid(
        rate in limits::one_rate(),
        more in 0..=6u32,
        initial in any::<Index>(),
        full in any::<bool>(),
        aligned in limits::alignment(),
        history in history(),
    ) {
        let capacity = rate.permits() + more;
        let mut limit = TokenBucket::new(rate).capacity(capacity).unwrap();
        let mut naive = Heap {
            capacity: capacity.into(),
            amount: rate.permits().into(),
            every: period(rate),
            initial: capacity.into(),
            aligned: aligned.map(|instant| instant.as_nanos() as u64),
            heap: None,
        };
        if !full {
            let initial = initial.index(capacity as usize + 1) as u32;
            limit = limit.initial(initial).unwrap();
            naive.initial = initial.into();
        }
        if let Some(instant) = aligned {
            limit = limit.aligned_to(instant);
        }
        agrees(&limit, naive, &history)?;
    }

    #[test]
    fn a_fixed_window_counts_the_permits_of_the_window_of_now(
        rate in limits::one_rate(),
        aligned in limits::alignment(),
        history in history(),
    ) {
        let mut limit = FixedWindow::new(rate);
        if let Some(instant) = aligned {
            limit = limit.aligned_to(instant);
        }
        let aligned = aligned.map(|instant| instant.as_nanos() as u64);
        let (permits, period) = (rate.permits().into(), period(rate));
        agrees(&limit, Window { permits, period, aligned, used: 0, end: 0 }, &history)?;
    }

    #[test]
    fn a_sliding_window_counter_weighs_a_list_of_calls(
        rate in limits::one_rate(),
        history in history(),
    ) {
        let naive = Counted {
            permits: rate.permits().into(),
            period: period(rate),
            calls: Vec::new(),
        };
        agrees(&SlidingWindowCounter::new(rate), naive, &history)?;
    }

    #[test]
    fn the_estimate_of_a_sliding_window_counter_errs_as_much_as_it_says(
        rate in limits::one_rate(),
        history in history(),
    ) {
        let limit = SlidingWindowCounter::new(rate);
        let (permits, period) = (u64::from(rate.permits()), period(rate));
        let mut naive = Counted { permits, period, calls: Vec::new() };
        walk(&limit, &history, |moment| {
            naive.call(moment.now, moment.take.cost, false);
            let estimate = permits - u64::from(moment.decision.remaining);
            let exact = naive.exact(moment.now);
            let (before, over) = naive.before(moment.now);
            let [before, over, period] = [before, over, period].map(u128::from);
            let below = u128::from(exact.saturating_sub(estimate));
            prop_assert!(below * period <= before * over, "{} below", below);
            let above = u128::from(estimate.saturating_sub(exact));
            prop_assert!(above <= (before * (period - over)).div_ceil(period), "{} above", above);
            prop_assert!(exact < 2 * permits);
            Ok(())
        })?;
    }

    #[test]
    fn a_quota_is_a_purse(permits in 1..=6u32, history in history()) {
        let limit = TokenBucket::quota(permits).unwrap();
        agrees(&limit, Purse { all: permits, left: permits }, &history)?;
    }

    #[test]
    fn the_rate_that_refuses_or_has_the_least_left_is_named(
        rates in limits::rates(),
        history in history(),
    ) {
        let limit = SlidingWindow::all(rates).unwrap();
        let mut naive = list(&limit);
        walk(&limit, &history, |moment| {
            let cost = u64::from(moment.take.cost);
            let failing = naive.failing(moment.now, cost);
            naive.call(moment.now, moment.take.cost, false);
            let left = |rate: &usize| naive.left(*rate, moment.now);
            let least = (0..limit.rates().len()).min_by_key(left);
            let rate = failing.or(least).unwrap();
            let decision = moment.decision;
            prop_assert_eq!(decision.rate, rate);
            prop_assert_eq!(decision.limit, limit.rates()[rate].permits());
            prop_assert_eq!(u64::from(decision.remaining), left(&rate));
            Ok(())
        })?;
    }
}

/// A call, or one of the earlier calls that turns out never to take place.
#[derive(Clone, Copy, Debug)]
struct Turn {
    pause: Pause,
    cost: u32,
    undone: Option<Index>,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let undone = proptest::option::of(any::<Index>());
    let turn =
        (pause(), 1..=3u32, undone).prop_map(|(pause, cost, undone)| Turn { pause, cost, undone });
    prop::collection::vec(turn, 1..40)
}

/// A log can forget a call completely. The one-word algorithms only promise their bound.
fn is_as_if_it_never_took_place(limit: SlidingWindow, turns: Vec<Turn>) -> TestCaseResult {
    let mut naive = list(&limit);
    let mut log = Default::default();
    let mut grants = Vec::new();
    let (mut now, mut wait) = (0, 0);
    for turn in turns {
        now = turn.pause.after(&limit, now, wait);
        match turn.undone.filter(|_| !grants.is_empty()) {
            Some(index) => {
                let index = index.index(grants.len());
                let _ = ask(&limit, &mut log, now, Ask::GiveBack(grants.remove(index)));
                naive.calls.remove(index);
            }
            None => {
                let expected = naive.call(now, turn.cost, false);
                let decision = ask(&limit, &mut log, now, Ask::Take(Take::fresh(turn.cost)));
                prop_assert_eq!(answer(decision.outcome), expected);
                wait = super::wait(decision).unwrap_or(0);
                grants.extend(decision.grant());
            }
        }
        for (index, rate) in limit.rates().iter().enumerate() {
            let one = SlidingWindow::new(*rate);
            let left = naive.left(index, now) as usize;
            let mut alone = log.clone();
            prop_assert_eq!(super::pass_at(&one, &mut alone, now, left + 1), left);
        }
    }
    Ok(())
}

#[test]
fn a_call_given_back_to_a_sliding_window_is_as_if_it_never_took_place() {
    check_with(400, turns(), limits::sliding_window(), is_as_if_it_never_took_place);
}

#[test]
fn a_cost_above_the_shorter_rate_never_fits_whatever_the_longer_one_says() {
    let limit = SlidingWindow::all([super::rate(2, 10), super::rate(6, 100)]).unwrap();
    let mut log = Default::default();
    for now in [0, 10] {
        granted(&limit, &mut log, now, Take::fresh(2)).unwrap();
    }
    // The longer rate has two left of six and would say later.
    let decision = ask(&limit, &mut log, 20, Ask::Peek(Take::fresh(3)));
    assert_eq!(decision.outcome, Outcome::Never);
    assert_eq!((decision.rate, decision.limit), (0, 2));
}
