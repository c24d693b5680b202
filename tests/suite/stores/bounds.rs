//! Whatever is reserved and goes back, the published bounds hold.

use super::histories::{Call, Turn, check, for_each_limit, play};
use crate::algorithms::{bounds::keeps_its_bound, histories::Pause, limits};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::sync::Arc;
use tower_ratelimit::{Algorithm, Grant, Nanos, store::StoredLimit};

for_each_limit![calls_that_took_place_keep_the_bound];

fn calls_that_took_place_keep_the_bound<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    let calls = play(limit, turns, |_| Ok(()))?;
    keeps_its_bound(&limit.algorithm, calls.iter().map(|call| call.at).collect())
}

fn permits_keep_the_bound<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    let calls = play(limit, turns, |_| Ok(()))?;
    let permits = |call: &Call| std::iter::repeat_n(call.at, call.grant.cost as usize);
    keeps_its_bound(&limit.algorithm, calls.iter().flat_map(permits).collect())
}

#[test]
fn calls_of_any_cost_take_no_more_permits_than_the_bound() {
    check(limits::leaky_bucket(), permits_keep_the_bound);
    check(limits::any_window(), permits_keep_the_bound);
    check(limits::sliding_window(), permits_keep_the_bound);
    check(limits::token_bucket(), permits_keep_the_bound);
    check(limits::warming_bucket(), permits_keep_the_bound);
    check(limits::quota(), permits_keep_the_bound);
    check(limits::fixed_window(), permits_keep_the_bound);
    check(limits::sliding_window_counter(), permits_keep_the_bound);
}

#[test]
fn never_more_calls_are_in_flight_than_there_is_room_for() {
    check(limits::concurrency(), |limit, turns| {
        let most = u64::from(super::Seam::of(limit).take(0, 0).decision.limit);
        play(limit, turns, |moment| {
            let lease_ends = |call: &Call| limit.algorithm.new_at(&state_of(limit, call)).get();
            let is_held = |call: &&Call| !call.ended && lease_ends(call) > moment.now;
            let held = moment.calls.iter().filter(is_held).map(|call| u64::from(call.grant.cost));
            prop_assert!(held.sum::<u64>() <= most);
            Ok(())
        })?;
        Ok(())
    });
}

/// A state in which nothing but this call is.
fn state_of<A: Algorithm>(limit: &StoredLimit<A>, call: &Call) -> A::State {
    let mut state = A::State::default();
    let Grant { cost, at } = call.grant;
    let take = tower_ratelimit::Ask::Take(tower_ratelimit::Take::fresh(cost));
    let _ = limit.algorithm.decide(&mut state, at, take);
    state
}

#[test]
fn a_serialized_call_begins_when_the_one_before_has_ended() {
    check(limits::serialized(), |limit, turns| {
        let period = limit.algorithm.rate(0).unwrap().period().into();
        play(limit, turns, |moment| {
            let new_at = |call: &Call| limit.algorithm.new_at(&state_of(limit, call));
            let lease_ends = |call: &Call| match new_at(call) {
                Nanos::MAX => Nanos::MAX,
                new_at => new_at - period,
            };
            let is_held = |call: &&Call| !call.ended && lease_ends(call).get() > moment.now;
            let running = moment.calls.iter().filter(is_held);
            prop_assert!(running.count() <= 1);
            Ok(())
        })?;
        Ok(())
    });
}
