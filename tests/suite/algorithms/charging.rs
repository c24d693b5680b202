//! Permits taken after the fact: a debt that everybody pays off; and calls that end.

use super::{
    agreement::answer,
    ask,
    bounds::keeps_its_bound,
    granted,
    histories::{History, Pause, check_with, pause, walk},
    limits::{self, for_each_algorithm},
    naive::{Bucket, Gap, Grid, List, Naive},
    pass_at, rate,
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::fmt::Debug;
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, LeakyBucket, Nanos, Outcome, SlidingWindow, Strict, Take,
};

for_each_algorithm![
    a_charge_is_granted_and_the_wait_after_it_is_exact,
    a_charge_of_nothing_changes_nothing,
    a_call_that_ends_changes_nothing,
];

fn a_charge_is_granted_and_the_wait_after_it_is_exact<A: Algorithm>(
    algorithm: A,
    history: History,
) -> TestCaseResult {
    walk(&algorithm, &history, |moment| {
        let mut state = moment.after.clone();
        let peek = |state: &mut A::State, now: u64| {
            let decision = ask(&algorithm, state, now, Ask::Peek(Take::fresh(1)));
            (decision.is_granted(), super::wait(decision).unwrap_or(0))
        };
        let mut before = peek(&mut state, moment.now).1;
        for cost in [1, moment.take.cost % 50, 40] {
            let charged = ask(&algorithm, &mut state, moment.now, Ask::Charge(cost));
            prop_assert_eq!(charged.grant().map(|grant| grant.cost), Some(cost));
            let (_, wait) = peek(&mut state, moment.now);
            prop_assert!(wait >= before);
            before = wait;
        }
        let after = ask(&algorithm, &mut state, moment.now, Ask::Peek(Take::fresh(1)));
        if after.outcome == Outcome::Exhausted {
            return Ok(());
        }
        prop_assert!(before > 0);
        prop_assert!(!peek(&mut state, moment.now + before - 1).0);
        prop_assert!(peek(&mut state, moment.now + before).0);
        Ok(())
    })
}

fn a_charge_of_nothing_changes_nothing<A>(algorithm: A, history: History) -> TestCaseResult
where
    A: Algorithm<State: PartialEq + Debug>,
{
    walk(&algorithm, &history, |moment| {
        let mut state = moment.after.clone();
        prop_assert!(ask(&algorithm, &mut state, moment.now, Ask::Charge(0)).is_granted());
        prop_assert_eq!(&state, moment.after);
        Ok(())
    })
}

fn a_call_that_ends_changes_nothing<A>(algorithm: A, history: History) -> TestCaseResult
where
    A: Algorithm<State: PartialEq + Debug>,
{
    walk(&algorithm, &history, |moment| {
        let Some(grant) = moment.decision.grant() else {
            return Ok(());
        };
        for later in [0, 1, algorithm.interval().get() * 3] {
            let mut state = moment.after.clone();
            let now = moment.now + later;
            let ended = ask(&algorithm, &mut state, now, Ask::End(grant));
            prop_assert_eq!(ended.grant(), Some(grant));
            prop_assert_eq!(&state, moment.after);
            let standing = ask(&algorithm, &mut state, now, Ask::Peek(Take::fresh(0)));
            prop_assert_eq!(ended.remaining, standing.remaining);
            prop_assert_eq!(ended.full_after, standing.full_after);
        }
        Ok(())
    })
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Take(Take),
    Charge(u32),
}

fn turns() -> impl Strategy<Value = Vec<(Pause, Turn)>> {
    let cost = prop_oneof![8 => Just(1u32), 2 => 2..=6u32];
    let take = (cost, any::<bool>()).prop_map(|(cost, queued)| Turn::Take(Take { cost, queued }));
    let turn = prop_oneof![3 => take, 1 => (0..=8u32).prop_map(Turn::Charge)];
    prop::collection::vec((pause(), turn), 1..40)
}

/// What an oracle makes of a charge.
trait Charged: Naive {
    fn charge(&mut self, now: u64, cost: u32);
}

/// The limit answers like its oracle, and those let go keep the bound as if nothing was charged.
fn agree<A: Algorithm, N: Charged>(
    limit: A,
    mut naive: N,
    turns: Vec<(Pause, Turn)>,
) -> TestCaseResult {
    let mut state = A::State::default();
    let (mut now, mut wait, mut used) = (1000, 0, false);
    let mut instants = Vec::new();
    for (pause, turn) in turns {
        now = pause.after(&limit, now, wait);
        match turn {
            Turn::Take(take) => {
                let take = Take { queued: take.queued && used, ..take };
                let decision = ask(&limit, &mut state, now, Ask::Take(take));
                let expected = naive.call(now, take.cost, take.queued);
                prop_assert_eq!(answer(decision.outcome), expected, "{:?} at {}", take, now);
                wait = super::wait(decision).unwrap_or(0);
                used |= decision.is_granted();
                instants.extend(decision.grant().map(|_| now));
            }
            Turn::Charge(cost) => {
                prop_assert!(ask(&limit, &mut state, now, Ask::Charge(cost)).is_granted());
                if cost > 0 {
                    naive.charge(now, cost);
                    used = true;
                }
            }
        }
    }
    keeps_its_bound(&limit, instants)
}

mod debts_are_paid_off_as_by_calls {
    use super::*;

    impl Charged for Bucket {
        fn charge(&mut self, now: u64, cost: u32) {
            self.overfill(now, cost.into());
        }
    }

    impl Charged for Gap {
        fn charge(&mut self, now: u64, cost: u32) {
            self.widen(now, cost.into());
        }
    }

    impl Charged for Grid {
        fn charge(&mut self, now: u64, cost: u32) {
            self.skip(now, cost.into());
        }
    }

    impl Charged for List {
        fn charge(&mut self, now: u64, cost: u32) {
            self.calls.push((now, cost.into()));
        }
    }

    fn period(limit: &impl Algorithm) -> (u32, u64) {
        let rate = limit.rate(0).unwrap();
        (rate.permits(), Nanos::from(rate.period()).get())
    }

    #[test]
    fn leaky_bucket() {
        check_with(600, turns(), limits::leaky_bucket(), |limit, turns| {
            let (permits, period) = period(&limit);
            let mut new = Nanos::ZERO;
            let new = ask(&limit, &mut new, 0, Ask::Peek(Take::fresh(0)));
            agree(limit, Bucket::new(permits, period, new.limit), turns)
        });
    }

    #[test]
    fn strict() {
        check_with(600, turns(), limits::strict(), |limit, turns| {
            let (permits, period) = period(&limit);
            agree(limit, Gap::new(permits, period), turns)
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 600,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn burst_compensating(
            rate in limits::one_rate(),
            max_burst in 1..=5u32,
            turns in turns(),
        ) {
            let limit = BurstCompensating::new(rate).max_burst(max_burst).unwrap();
            let (permits, period) = period(&limit);
            agree(limit, Grid::new(permits, period, max_burst), turns)?;
        }
    }

    #[test]
    fn sliding_window() {
        check_with(600, turns(), limits::sliding_window(), |limit, turns| {
            let rates = limit.rates().iter();
            let rates = rates.map(|rate| (rate.permits(), Nanos::from(rate.period()).get()));
            let list = List::new(rates.collect::<Vec<_>>());
            agree(limit, list, turns)
        });
    }
}

#[test]
fn a_bucket_leaks_all_that_was_charged_before_it_lets_go() {
    let limit = LeakyBucket::new(rate(1, 10)).capacity(2).unwrap();
    let mut empty_at = Default::default();
    let charged = ask(&limit, &mut empty_at, 0, Ask::Charge(5));
    assert_eq!((charged.remaining, charged.full_after.get()), (0, 50));
    assert_eq!(pass_at(&limit, &mut empty_at, 39, 9), 0);
    assert_eq!(pass_at(&limit, &mut empty_at, 40, 9), 1);
}

#[test]
fn a_debt_stands_behind_a_strict_call_that_takes_place_late() {
    let limit = Strict::new(rate(1, 10));
    let mut next = Default::default();
    let grant = granted(&limit, &mut next, 0, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut next, 0, Ask::Charge(1));
    let _ = ask(&limit, &mut next, 9, Ask::Renew(grant));
    assert_eq!(pass_at(&limit, &mut next, 28, 9), 0);
    assert_eq!(pass_at(&limit, &mut next, 29, 9), 1);
}

#[test]
fn a_call_given_back_late_does_not_pay_off_a_later_debt() {
    let limit = BurstCompensating::new(rate(1, 10));
    let mut state = Default::default();
    let first = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 100, Ask::Charge(1));
    let _ = ask(&limit, &mut state, 101, Ask::GiveBack(first));
    assert_eq!(pass_at(&limit, &mut state, 109, 9), 0);
    assert_eq!(pass_at(&limit, &mut state, 110, 9), 1);
}

#[test]
fn a_charge_while_slots_are_caught_up_with_takes_one_of_them() {
    let limit = BurstCompensating::new(rate(1, 10));
    let mut state = Default::default();
    granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    // The slots 10, 20 and 30 have come.
    granted(&limit, &mut state, 35, Take::queued(1)).unwrap();
    let _ = ask(&limit, &mut state, 36, Ask::Charge(1));
    assert_eq!(pass_at(&limit, &mut state, 36, 9), 1);
    assert_eq!(pass_at(&limit, &mut state, 39, 9), 0);
    assert_eq!(pass_at(&limit, &mut state, 40, 9), 1);
}

#[test]
fn what_was_charged_to_a_window_leaves_it_after_a_period() {
    let limit = SlidingWindow::new(rate(3, 100));
    let mut log = Default::default();
    let charged = ask(&limit, &mut log, 7, Ask::Charge(20));
    assert_eq!((charged.remaining, charged.full_after.get()), (0, 100));
    assert_eq!(pass_at(&limit, &mut log, 106, 9), 0);
    assert_eq!(pass_at(&limit, &mut log, 107, 9), 3);
}

#[test]
fn a_debt_beyond_the_time_line_is_never_paid_off() {
    let yearly = rate(1, 365 * 86_400 * 1_000_000_000);
    let strict = Strict::new(yearly);
    let mut next = Default::default();
    for _ in 0..2 {
        assert!(ask(&strict, &mut next, 5, Ask::Charge(u32::MAX)).is_granted());
    }
    assert_eq!(next, Nanos::MAX);
    assert_eq!(granted(&strict, &mut next, u64::MAX - 1, Take::fresh(1)), None);
}
