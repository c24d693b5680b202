//! Reservations that are not used go back.

use super::{
    Seam,
    histories::{Turn, for_each_limit, play},
    rate, wait,
};
use crate::algorithms::histories::Pause;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, Grant, LeakyBucket, Nanos, SlidingWindow, Strict, TokenBucket, store::StoredLimit,
};

for_each_limit![those_who_come_when_all_went_back_get_the_same_slots];

/// Whatever happened before: some reserve, all go back in any order, and the next ones come in the
/// same slots.
fn those_who_come_when_all_went_back_get_the_same_slots<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    // The first half is what happened before, the second says who reserves and who goes when.
    let (before, then) = turns.split_at(turns.len() / 2);
    let mut seam = Seam::of(limit);
    let mut now = 0;
    play(limit, before, |moment| {
        (seam, now) = (moment.after.clone(), moment.now);
        Ok(())
    })?;
    let costs: Vec<u32> = then
        .iter()
        .filter_map(|(_, turn)| match turn {
            Turn::Reserve { cost, .. } if *cost > 0 => Some(*cost),
            _ => None,
        })
        .collect();
    let orders: Vec<Index> = then
        .iter()
        .filter_map(|(_, turn)| match turn {
            Turn::Return(index) | Turn::GiveBack(index) => Some(*index),
            _ => None,
        })
        .collect();
    let first: Vec<Option<Grant>> = costs.iter().map(|&cost| seam.reserve(now, cost)).collect();
    let mut waiting: Vec<Grant> = first.iter().flatten().copied().collect();
    // Those that were let go at once are no reservations.
    let at_once = waiting.iter().filter(|grant| grant.at.get() <= now).count();
    waiting.retain(|grant| grant.at.get() > now);
    let mut orders = orders.iter().cycle();
    while !waiting.is_empty() {
        let which = orders.next().map_or(waiting.len() - 1, |index| index.index(waiting.len()));
        let answer = seam.give_back(now, waiting.remove(which));
        prop_assert!(answer.is_granted());
    }
    let skipped = first.iter().scan(at_once, |left, grant| {
        let is_at_once = grant.is_some_and(|grant| grant.at.get() <= now) && *left > 0;
        *left -= usize::from(is_at_once);
        Some(is_at_once)
    });
    for ((cost, grant), is_at_once) in costs.iter().zip(&first).zip(skipped) {
        if !is_at_once {
            let again = seam.reserve(now, *cost);
            prop_assert_eq!(again.map(|grant| grant.at), grant.map(|grant| grant.at));
        }
    }
    Ok(())
}

#[test]
fn a_slot_that_goes_back_is_had_by_the_next_who_reserves() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    let [_, second, third, _] = [(); 4].map(|()| seam.reserve(0, 1).unwrap());
    assert!(seam.give_back(1, third).is_granted());
    assert!(seam.give_back(2, second).is_granted());
    let [first, then, last] = [(); 3].map(|()| seam.reserve(3, 1).unwrap().at.get());
    assert_eq!((first, then, last), (10, 20, 40));
}

#[test]
fn a_slot_is_not_had_twice() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    let [_, second, _] = [(); 3].map(|()| seam.reserve(0, 1).unwrap());
    seam.give_back(1, second);
    assert_eq!(seam.reserve(1, 1), Some(second));
    assert_eq!(seam.reserve(1, 1).unwrap().at.get(), 30);
    seam.give_back(2, second);
    assert_eq!(seam.reserve(9, 1), Some(second));
}

#[test]
fn a_slot_whose_time_is_over_is_lost() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    let [_, second, _] = [(); 3].map(|()| seam.reserve(0, 1).unwrap());
    seam.give_back(1, second);
    assert_eq!(seam.reserve(11, 1).unwrap().at.get(), 30);
}

#[test]
fn a_slot_is_too_small_for_a_call_that_needs_more() {
    let bucket = LeakyBucket::new(rate(1, 10)).capacity(3).unwrap();
    let mut seam = Seam::new(bucket);
    seam.take(0, 3);
    let [first, _] = [(); 2].map(|()| seam.reserve(0, 1).unwrap());
    seam.give_back(1, first);
    // Behind both: what is missing is there at 40.
    assert_eq!(seam.reserve(1, 2).unwrap().at.get(), 40);
    assert_eq!(seam.reserve(1, 1), Some(first));
}

#[test]
fn a_window_does_not_hold_calls_that_went_back_with_others_behind_them() {
    let mut seam = Seam::new(SlidingWindow::new(rate(2, 100)));
    seam.take(0, 1);
    seam.take(50, 1);
    let [first, second] = [(); 2].map(|()| seam.reserve(60, 1).unwrap());
    assert_eq!((first.at.get(), second.at.get()), (100, 150));
    seam.give_back(61, first);
    // The second is in the window until 250, the first never was.
    assert_eq!(wait(seam.take(120, 1)), Some(30));
    assert!(seam.take(150, 1).is_granted());
    assert_eq!(wait(seam.take(150, 1)), Some(100));
}

#[test]
fn what_goes_back_does_not_bring_the_next_window_nearer() {
    // The state of the next window was begun for the call that went back.
    let mut seam = Seam::new(TokenBucket::new(rate(2, 100)));
    assert!(seam.take(0, 2).is_granted());
    let next = seam.reserve(0, 1).unwrap();
    assert_eq!(next.at.get(), 100);
    seam.give_back(10, next);
    assert_eq!(wait(seam.take(50, 1)), Some(50));
    let mut seam = Seam::new(SlidingWindow::new(rate(2, 100)));
    assert!(seam.take(0, 2).is_granted());
    let next = seam.reserve(0, 1).unwrap();
    seam.give_back(10, next);
    assert_eq!(wait(seam.take(50, 1)), Some(50));
}

#[test]
fn callers_who_give_up_early_do_not_starve_those_who_come() {
    // A hundred callers a second for ten permits, each of whom gives up after a second.
    let mut seam = Seam::new(Strict::new(rate(10, 1_000)));
    let mut waiting: Vec<(u64, Grant)> = Vec::new();
    let mut served = 0;
    for now in (0..60_000).step_by(10) {
        let is_due = |grant: &Grant| grant.at.get() <= now;
        served += waiting.iter().filter(|(_, grant)| is_due(grant)).count();
        waiting.retain(|(_, grant)| !is_due(grant));
        while waiting.first().is_some_and(|(since, _)| now - since >= 1_000) {
            seam.give_back(now, waiting.remove(0).1);
        }
        let answer = seam.reserve_within(now, 1, Nanos::new(30_000));
        waiting.extend(answer.decision.grant().map(|grant| (now, grant)));
    }
    assert!(served > 590, "{served} of 600");
}

#[test]
fn a_reservation_from_before_the_key_was_forgotten_gives_nothing_back() {
    let mut seam = Seam::new(LeakyBucket::new(rate(1, 10)).capacity(1).unwrap());
    seam.take(0, 1);
    let reserved = seam.reserve(0, 1).unwrap();
    seam.ask(1, tower_ratelimit::store::StoreAsk::Forget);
    assert!(seam.take(1, 1).is_granted());
    assert!(seam.give_back(2, reserved).is_granted());
    assert!(!seam.take(2, 1).is_granted());
}
