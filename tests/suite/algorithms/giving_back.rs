//! Grants that were not used go back, and never let more calls take place than allowed.

use super::{
    ask,
    bounds::keeps_its_bound,
    granted,
    histories::{Pause, check_with},
    limits, pass_at, rate,
};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::time::Duration;
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, Grant, LeakyBucket, SlidingWindow, Strict, Take,
};

/// Calls come, or one of those before turns out never to take place.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Calls { count: u32, queued: bool },
    GiveBack(Index),
}

/// Grants are given back often and soon, about when their slots end.
fn turns() -> impl Strategy<Value = Vec<(Pause, Turn)>> {
    let pause = prop_oneof![
        6 => Just(Pause::None),
        3 => (1..=3u64, -1..=1i64).prop_map(|(count, offset)| Pause::Intervals(count, offset)),
        2 => (0..1000u64).prop_map(Pause::Part),
        2 => (-1..=1i64).prop_map(Pause::Wait),
    ];
    let calls = (1..=4u32, any::<bool>()).prop_map(|(count, queued)| Turn::Calls { count, queued });
    let turn = prop_oneof![4 => calls, 3 => any::<Index>().prop_map(Turn::GiveBack)];
    prop::collection::vec((pause, turn), 1..40)
}

fn those_that_took_place_keep_the_bound<A: Algorithm>(
    algorithm: A,
    turns: Vec<(Pause, Turn)>,
) -> TestCaseResult {
    let mut state = Default::default();
    let mut took_place: Vec<Grant> = Vec::new();
    let (mut now, mut wait, mut used) = (0, 0, false);
    for (pause, turn) in turns {
        now = pause.after(&algorithm, now, wait);
        match turn {
            Turn::Calls { count, queued } => {
                for _ in 0..count {
                    let queued = queued && used;
                    let take = Take { cost: 1, queued };
                    let decision = ask(&algorithm, &mut state, now, Ask::Take(take));
                    wait = super::wait(decision).unwrap_or(0);
                    used |= decision.is_granted();
                    took_place.extend(decision.grant());
                }
            }
            Turn::GiveBack(index) if !took_place.is_empty() => {
                let grant = took_place.remove(index.index(took_place.len()));
                let decision = ask(&algorithm, &mut state, now, Ask::GiveBack(grant));
                prop_assert!(decision.is_granted());
            }
            Turn::GiveBack(_) => {}
        }
    }
    let instants = took_place.iter().map(|grant| grant.at.get()).collect();
    keeps_its_bound(&algorithm, instants)
}

/// A call of so many permits, and which of those before then gives back how many of its own.
type Part = (Pause, u32, Option<(Index, u32)>);

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let pause = turns().prop_map(|turns| turns[0].0);
    let back = prop::option::of((any::<Index>(), 1..=3u32));
    prop::collection::vec((pause, 1..=3u32, back), 1..40)
}

/// For algorithms that grant no more permits at an instant than there are.
fn with_parts_given_back_the_others_keep_the_bound<A: Algorithm>(
    algorithm: A,
    turns: Vec<Part>,
) -> TestCaseResult {
    let mut state = Default::default();
    let mut kept: Vec<Grant> = Vec::new();
    let (mut now, mut wait) = (0, 0);
    for (pause, cost, back) in turns {
        now = pause.after(&algorithm, now, wait);
        let decision = ask(&algorithm, &mut state, now, Ask::Take(Take::fresh(cost)));
        wait = super::wait(decision).unwrap_or(0);
        kept.extend(decision.grant());
        if let Some((index, cost)) = back.filter(|_| !kept.is_empty()) {
            let grant = index.get(&kept);
            let part = Grant { cost: cost.min(grant.cost), ..*grant };
            let first = kept.iter().position(|other| other == grant).unwrap();
            kept[first].cost -= part.cost;
            kept.retain(|grant| grant.cost > 0);
            let _ = ask(&algorithm, &mut state, now, Ask::GiveBack(part));
        }
    }
    let instants = kept.iter().flat_map(|grant| vec![grant.at.get(); grant.cost as usize]);
    keeps_its_bound(&algorithm, instants.collect())
}

mod with_parts_given_back_the_others_keep_the_bound {
    use super::{with_parts_given_back_the_others_keep_the_bound as keep_the_bound, *};

    #[test]
    fn leaky_bucket() {
        check_with(600, parts(), limits::leaky_bucket(), keep_the_bound);
    }

    #[test]
    fn any_window() {
        check_with(600, parts(), limits::any_window(), keep_the_bound);
    }

    #[test]
    fn sliding_window() {
        check_with(600, parts(), limits::sliding_window(), keep_the_bound);
    }

    #[test]
    fn token_bucket() {
        check_with(600, parts(), limits::token_bucket(), keep_the_bound);
    }

    #[test]
    fn warming_bucket() {
        check_with(600, parts(), limits::warming_bucket(), keep_the_bound);
    }

    #[test]
    fn quota() {
        check_with(600, parts(), limits::quota(), keep_the_bound);
    }

    #[test]
    fn fixed_window() {
        check_with(600, parts(), limits::fixed_window(), keep_the_bound);
    }

    #[test]
    fn sliding_window_counter() {
        check_with(600, parts(), limits::sliding_window_counter(), keep_the_bound);
    }
}

#[test]
fn a_part_of_a_call_leaves_a_sliding_window_as_if_it_had_never_been() {
    let limit = SlidingWindow::new(rate(5, 10));
    let mut log = Default::default();
    let grant = granted(&limit, &mut log, 3, Take::fresh(5)).unwrap();
    let part = Grant { cost: 2, ..grant };
    let decision = ask(&limit, &mut log, 4, Ask::GiveBack(part));
    assert_eq!(decision.remaining, 2);
    granted(&limit, &mut log, 5, Take::fresh(2)).unwrap();
    // The three left are those of the instant 3.
    assert_eq!(
        ask(&limit, &mut log, 6, Ask::Peek(Take::fresh(3))).retry_after(),
        Some(Duration::from_nanos(7))
    );
}

mod with_some_given_back_those_that_took_place_keep_the_bound {
    use super::*;

    #[test]
    fn leaky_bucket() {
        let limits = limits::leaky_bucket();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn any_window() {
        let limits = limits::any_window();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn strict() {
        let limits = limits::strict();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn burst_compensating() {
        let limits = limits::burst_compensating();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn sliding_window() {
        let limits = limits::sliding_window();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn token_bucket() {
        let limits = limits::token_bucket();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn warming_bucket() {
        let limits = limits::warming_bucket();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn quota() {
        let limits = limits::quota();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn fixed_window() {
        let limits = limits::fixed_window();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }

    #[test]
    fn sliding_window_counter() {
        let limits = limits::sliding_window_counter();
        check_with(600, turns(), limits, those_that_took_place_keep_the_bound);
    }
}

#[test]
fn a_bucket_gets_back_what_has_not_leaked_yet() {
    let limit = LeakyBucket::new(rate(1, 10)).capacity(3).unwrap();
    let mut empty_at = Default::default();
    let grant = granted(&limit, &mut empty_at, 0, Take::fresh(3)).unwrap();
    let decision = ask(&limit, &mut empty_at, 15, Ask::GiveBack(grant));
    assert_eq!((decision.remaining, decision.full_after.get()), (3, 0));
    assert_eq!(pass_at(&limit, &mut empty_at, 15, 9), 3);
}

#[test]
fn the_last_of_a_burst_goes_back_as_if_it_had_never_come() {
    let limit = LeakyBucket::new(rate(1, 10)).capacity(3).unwrap();
    let mut empty_at = Default::default();
    let [_, _, last] = [(); 3].map(|()| granted(&limit, &mut empty_at, 0, Take::fresh(1)).unwrap());
    assert_eq!(pass_at(&limit, &mut empty_at, 9, 9), 0);
    let _ = ask(&limit, &mut empty_at, 9, Ask::GiveBack(last));
    assert_eq!(pass_at(&limit, &mut empty_at, 9, 9), 1);
}

#[test]
fn what_has_leaked_from_a_bucket_does_not_come_back() {
    let limit = LeakyBucket::new(rate(1, 10)).capacity(1).unwrap();
    let mut empty_at = Default::default();
    let first = granted(&limit, &mut empty_at, 0, Take::fresh(1)).unwrap();
    assert_eq!(pass_at(&limit, &mut empty_at, 10, 9), 1);
    let _ = ask(&limit, &mut empty_at, 15, Ask::GiveBack(first));
    assert_eq!(pass_at(&limit, &mut empty_at, 19, 9), 0);
}

#[test]
fn a_permit_given_back_late_and_out_of_order_takes_nothing_from_a_later_call() {
    let limit = LeakyBucket::new(rate(1, 10)).capacity(2).unwrap();
    let mut empty_at = Default::default();
    let first = granted(&limit, &mut empty_at, 0, Take::fresh(1)).unwrap();
    let second = granted(&limit, &mut empty_at, 0, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut empty_at, 0, Ask::GiveBack(first));
    assert_eq!(pass_at(&limit, &mut empty_at, 10, 1), 1);
    // Neither of the first two took place. The third did, and leaves room for one.
    let _ = ask(&limit, &mut empty_at, 10, Ask::GiveBack(second));
    assert_eq!(pass_at(&limit, &mut empty_at, 10, 9), 1);
}

#[test]
fn a_strict_call_that_does_not_take_place_frees_its_slot() {
    let limit = Strict::new(rate(1, 10));
    let mut next = Default::default();
    let grant = granted(&limit, &mut next, 0, Take::fresh(3)).unwrap();
    let _ = ask(&limit, &mut next, 4, Ask::GiveBack(grant));
    assert_eq!(pass_at(&limit, &mut next, 4, 9), 1);
    assert_eq!(pass_at(&limit, &mut next, 13, 9), 0);
    assert_eq!(pass_at(&limit, &mut next, 14, 9), 1);
}

#[test]
fn slots_taken_after_one_that_goes_back_move_up() {
    let limit = BurstCompensating::new(rate(1, 10)).max_burst(3).unwrap();
    let mut state = Default::default();
    granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    // The slots 10, 20 and 30 have come.
    let [first, _, _] = [(); 3].map(|()| granted(&limit, &mut state, 35, Take::queued(1)).unwrap());
    assert_eq!(granted(&limit, &mut state, 35, Take::queued(1)), None);
    let _ = ask(&limit, &mut state, 36, Ask::GiveBack(first));
    assert!(granted(&limit, &mut state, 36, Take::queued(1)).is_some());
    let refused = ask(&limit, &mut state, 36, Ask::Take(Take::queued(1)));
    assert_eq!(refused.retry_after(), Some(Duration::from_nanos(4)));
}

#[test]
fn a_slot_that_was_lost_meanwhile_does_not_come_back() {
    let limit = BurstCompensating::new(rate(1, 10)).max_burst(1).unwrap();
    let mut state = Default::default();
    granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    // It is let go nine late, at slot 10; at 28 only slot 20 is kept.
    let late = granted(&limit, &mut state, 19, Take::queued(1)).unwrap();
    assert!(granted(&limit, &mut state, 28, Take::queued(1)).is_some());
    let _ = ask(&limit, &mut state, 28, Ask::GiveBack(late));
    assert_eq!(granted(&limit, &mut state, 28, Take::queued(1)), None);
}

#[test]
fn a_slot_given_back_after_a_new_grid_began_takes_nothing_from_it() {
    let limit = BurstCompensating::new(rate(1, 10)).max_burst(1).unwrap();
    let mut state = Default::default();
    granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    granted(&limit, &mut state, 19, Take::queued(1)).unwrap();
    // It catches up at slot 20; the next call comes when that time is over.
    let caught_up = granted(&limit, &mut state, 25, Take::fresh(1)).unwrap();
    assert!(granted(&limit, &mut state, 34, Take::fresh(1)).is_some());
    let _ = ask(&limit, &mut state, 34, Ask::GiveBack(caught_up));
    assert_eq!(granted(&limit, &mut state, 34, Take::fresh(1)), None);
}

#[test]
fn a_release_on_time_that_goes_back_leaves_nothing_to_catch_up_with() {
    let limit = BurstCompensating::new(rate(1, 10));
    let mut state = Default::default();
    granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let on_time = granted(&limit, &mut state, 10, Take::queued(1)).unwrap();
    let _ = ask(&limit, &mut state, 10, Ask::GiveBack(on_time));
    // Nobody was late: the next call begins a new grid.
    assert_eq!(pass_at(&limit, &mut state, 15, 9), 1);
    assert_eq!(pass_at(&limit, &mut state, 24, 9), 0);
    assert_eq!(pass_at(&limit, &mut state, 25, 9), 1);
}

#[test]
fn a_call_leaves_every_window_when_it_goes_back() {
    let limit = SlidingWindow::all([rate(2, 10), rate(3, 100)]).unwrap();
    let mut log = Default::default();
    let first = granted(&limit, &mut log, 0, Take::fresh(2)).unwrap();
    granted(&limit, &mut log, 10, Take::fresh(1)).unwrap();
    assert_eq!(granted(&limit, &mut log, 20, Take::fresh(1)), None);
    let _ = ask(&limit, &mut log, 20, Ask::GiveBack(first));
    assert_eq!(pass_at(&limit, &mut log, 20, 9), 2);
    // A second time it is not there any more.
    let _ = ask(&limit, &mut log, 20, Ask::GiveBack(first));
    assert_eq!(granted(&limit, &mut log, 30, Take::fresh(1)), None);
}
