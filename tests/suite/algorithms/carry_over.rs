//! New parameters: what is outstanding stays outstanding, and what has aged stays aged.

use super::{
    ask, granted,
    histories::{History, check_with, history, walk},
    limits, pass_at, rate,
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::fmt::Debug;
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, LeakyBucket, Nanos, Rate, SlidingWindow, Strict, Take,
};

/// So many ticks are counted one by one.
const FEW: u64 = 10_000;

/// The rule, tick by tick: from the end of what is outstanding back to the last tick that has
/// come, and from there as many new intervals on.
fn by_the_rule(end: u64, before: Nanos, after: Nanos, now: u64) -> u64 {
    if end <= now {
        return end;
    }
    assert!((end - now) / before.get() < FEW, "too many ticks to count");
    let (mut tick, mut outstanding) = (i128::from(end), 0);
    while tick > i128::from(now) {
        tick -= i128::from(before.get());
        outstanding += 1;
    }
    for _ in 0..outstanding {
        tick += i128::from(after.get());
    }
    u64::try_from(tick.max(i128::from(now))).unwrap()
}

/// The instants at which to change: at the call, a little later, and when the clock was set back.
fn around(now: u64, interval: Nanos) -> [u64; 6] {
    let interval = interval.get();
    let later = [0, 1, interval / 2, interval, interval * 2 + 1].map(|pause| now + pause);
    let [a, b, c, d, e] = later;
    [a, b, c, d, e, now.saturating_sub(interval / 2)]
}

/// Algorithms whose state is the end of what is outstanding.
fn follows_the_rule<A: Algorithm<State = Nanos>>(
    (before, after): (A, A),
    history: &History,
) -> TestCaseResult {
    walk(&before, history, |moment| {
        for now in around(moment.now, before.interval()) {
            let mut state = *moment.after;
            let _ = ask(&before, &mut state, moment.now, Ask::Charge(moment.take.cost % 3));
            if state.get().saturating_sub(now) / before.interval().get() >= FEW {
                continue;
            }
            let expected = by_the_rule(state.get(), before.interval(), after.interval(), now);
            after.carry_over(&before, &mut state, Nanos::new(now));
            prop_assert_eq!(state.get(), expected, "at {}", now);
        }
        Ok(())
    })
}

#[test]
fn a_bucket_and_strict_calls_follow_the_rule() {
    fn check<A: Algorithm<State = Nanos> + Debug + Clone>(
        limits: impl Strategy<Value = A> + Clone,
    ) {
        let histories = (limits.clone(), history());
        check_with(300, histories, limits, |before, (after, history)| {
            follows_the_rule((before, after), &history)
        });
    }
    check(std::rc::Rc::new(limits::leaky_bucket()));
    check(std::rc::Rc::new(limits::any_window()));
    check(std::rc::Rc::new(limits::strict()));
}

/// How many of those in line are let go at this instant.
fn pass_queued(
    limit: &BurstCompensating,
    state: &<BurstCompensating as Algorithm>::State,
    now: u64,
) -> usize {
    let mut state = *state;
    (0..20).take_while(|_| granted(limit, &mut state, now, Take::queued(1)).is_some()).count()
}

#[test]
fn the_next_slot_of_a_grid_follows_the_rule_and_a_change_is_not_lateness() {
    let histories = (limits::burst_compensating(), history());
    check_with(300, histories, limits::burst_compensating(), |before, (after, history)| {
        let mut used = false;
        walk(&before, &history, |moment| {
            used |= moment.decision.is_granted() && moment.take.cost > 0;
            for now in around(moment.now, before.interval()) {
                let mut state = *moment.after;
                let next = |limit: &BurstCompensating, state: &mut _| {
                    let peek = ask(limit, state, now, Ask::Peek(Take::queued(1)));
                    super::wait(peek).map(|wait| now + wait)
                };
                let outstanding = next(&before, &mut state);
                let passed = pass_queued(&before.max_burst(20).unwrap(), &state, now);
                after.carry_over(&before, &mut state, Nanos::new(now));
                match outstanding {
                    Some(end) if (end - now) / before.interval().get() >= FEW => {}
                    Some(end) => {
                        let expected = by_the_rule(end, before.interval(), after.interval(), now);
                        let found = next(&after, &mut state).unwrap_or(now);
                        prop_assert_eq!(found, expected, "at {}", now);
                        prop_assert!(pass_queued(&after, &state, now) <= 1);
                    }
                    None if used => {
                        let patient = after.max_burst(20).unwrap();
                        prop_assert!(pass_queued(&patient, &state, now) <= passed);
                    }
                    None => {}
                }
            }
            Ok(())
        })
    });
}

#[test]
fn windows_count_the_calls_they_remember_by_the_new_rates() {
    let histories = (1..=6u32, 1..=100u64, history());
    check_with(300, histories, limits::sliding_window(), |before, (permits, part, history)| {
        let longest = before.rates().last().unwrap().period();
        // Not longer than what is remembered.
        let period = (Nanos::from(longest).get() * part / 100).max(u64::from(permits));
        if period > Nanos::from(longest).get() {
            return Ok(());
        }
        let after = SlidingWindow::new(rate(permits, period));
        let mut calls: Vec<(u64, u32)> = Vec::new();
        walk(&before, &history, |moment| {
            if moment.decision.is_granted() && moment.take.cost > 0 {
                calls.push((moment.now, moment.take.cost));
            }
            let mut log = moment.after.clone();
            after.carry_over(&before, &mut log, Nanos::new(moment.now));
            let young = calls.iter().filter(|(at, _)| moment.now < at + period);
            let used: u32 = young.map(|(_, cost)| *cost).sum();
            let standing = ask(&after, &mut log, moment.now, Ask::Peek(Take::fresh(0)));
            prop_assert_eq!(standing.remaining, permits.saturating_sub(used));
            Ok(())
        })
    });
}

const TENTH: u64 = 100_000_000;

/// R6 of the specification: from one a second to ten a second after 0.1 s, with three waiting.
fn is_armed_anew<A: Algorithm>(limit: impl Fn(Rate) -> A) {
    let [slow, fast] = [1, 10].map(|permits| limit(Rate::per_second(permits).unwrap()));
    let mut state = Default::default();
    granted(&slow, &mut state, 0, Take::fresh(1)).unwrap();
    fast.carry_over(&slow, &mut state, Nanos::new(TENTH));
    let mut now = TENTH;
    let released = [(); 3].map(|()| {
        let peek = ask(&fast, &mut state, now, Ask::Peek(Take::queued(1)));
        now += super::wait(peek).unwrap_or(0);
        granted(&fast, &mut state, now, Take::queued(1)).unwrap();
        now
    });
    assert_eq!(released, [TENTH, 2 * TENTH, 3 * TENTH]);
}

#[test]
fn those_who_wait_are_served_at_the_new_rate() {
    is_armed_anew(Strict::new);
    is_armed_anew(BurstCompensating::new);
    is_armed_anew(|rate| LeakyBucket::new(rate).capacity(1).unwrap());
    is_armed_anew(|rate| LeakyBucket::any_window(rate, 1).unwrap());
}

#[test]
fn a_call_that_has_aged_its_interval_stays_aged() {
    fn stays<A: Algorithm>(limit: impl Fn(Rate) -> A) {
        let [fast, slow] = [10, 1000].map(|period| limit(rate(1, period)));
        let mut state = Default::default();
        granted(&fast, &mut state, 0, Take::fresh(1)).unwrap();
        slow.carry_over(&fast, &mut state, Nanos::new(10));
        assert_eq!(pass_at(&slow, &mut state, 10, 9), 1);
        // Not aged yet, it counts by the new interval from its tick.
        let mut state = Default::default();
        granted(&fast, &mut state, 0, Take::fresh(1)).unwrap();
        slow.carry_over(&fast, &mut state, Nanos::new(9));
        assert_eq!(pass_at(&slow, &mut state, 999, 9), 0);
        assert_eq!(pass_at(&slow, &mut state, 1000, 9), 1);
    }
    stays(Strict::new);
    stays(BurstCompensating::new);
    stays(|rate| LeakyBucket::new(rate).capacity(1).unwrap());
}

#[test]
fn a_full_bucket_that_shrinks_keeps_its_debt() {
    let big = LeakyBucket::new(rate(1, 10)).capacity(5).unwrap();
    let small = LeakyBucket::new(rate(1, 10)).capacity(2).unwrap();
    let mut empty_at = Default::default();
    assert_eq!(pass_at(&big, &mut empty_at, 0, 9), 5);
    small.carry_over(&big, &mut empty_at, Nanos::new(5));
    let standing = ask(&small, &mut empty_at, 5, Ask::Peek(Take::fresh(1)));
    assert_eq!((super::wait(standing), standing.remaining), (Some(35), 0));
    assert_eq!(pass_at(&small, &mut empty_at, 39, 9), 0);
    assert_eq!(pass_at(&small, &mut empty_at, 40, 9), 1);
    // And one that grows has room at once.
    let mut empty_at = Default::default();
    assert_eq!(pass_at(&small, &mut empty_at, 0, 9), 2);
    big.carry_over(&small, &mut empty_at, Nanos::new(5));
    assert_eq!(pass_at(&big, &mut empty_at, 5, 9), 3);
}

/// A limit of another measure takes a state over as if no more than all of its permits had been taken,
/// just now.
fn cuts_what_it_could_not_have_produced<A: Algorithm>(
    (before, after): (A, A),
    history: &History,
) -> TestCaseResult {
    if before.measure() == after.measure() {
        return Ok(());
    }
    let look = Ask::Peek(Take::fresh(0));
    walk(&before, history, |moment| {
        let mut indebted = moment.after.clone();
        let _ = ask(&before, &mut indebted, moment.now, Ask::Charge(100));
        for pause in [0, 1, before.interval().get()] {
            let now = moment.now + pause;
            let mut full = A::State::default();
            let all = ask(&after, &mut full, now, look).limit;
            let longest = ask(&after, &mut full, now, Ask::Charge(all)).full_after;
            let mut state = indebted.clone();
            after.adopt(before.measure(), &mut state, Nanos::new(now));
            let full_after = ask(&after, &mut state, now, look).full_after;
            prop_assert!(full_after <= longest, "{:?}, not {:?}", full_after, longest);
        }
        Ok(())
    })
}

#[test]
fn a_limit_of_another_measure_cuts_what_it_could_not_have_produced() {
    fn check<A: Algorithm + Debug + Clone>(limits: impl Strategy<Value = A> + Clone) {
        let histories = (limits.clone(), history());
        check_with(300, histories, limits, |before, (after, history)| {
            cuts_what_it_could_not_have_produced((before, after), &history)
        });
    }
    check(std::rc::Rc::new(limits::leaky_bucket()));
    check(std::rc::Rc::new(limits::any_window()));
    check(std::rc::Rc::new(limits::token_bucket()));
    check(std::rc::Rc::new(limits::fixed_window()));
}

#[test]
fn the_time_to_catch_up_in_is_an_interval_of_the_new_rate() {
    let (slow, fast) = (BurstCompensating::new(rate(1, 100)), BurstCompensating::new(rate(1, 10)));
    let mut state = Default::default();
    granted(&slow, &mut state, 0, Take::fresh(1)).unwrap();
    // It is let go at 250 and leaves slot 200 to be taken until 350.
    granted(&slow, &mut state, 250, Take::queued(1)).unwrap();
    assert_eq!(pass_at(&slow, &mut state.clone(), 349, 9), 2);
    fast.carry_over(&slow, &mut state, Nanos::new(251));
    assert_eq!(pass_at(&fast, &mut state.clone(), 251, 9), 1);
    // At 260 it is over, and idling earns nothing.
    assert_eq!(pass_at(&fast, &mut state, 295, 9), 1);
}

#[test]
fn a_change_when_the_clock_was_set_back_before_the_first_tick_is_exact() {
    let (slow, fast) = (Strict::new(rate(1, 10)), Strict::new(rate(1, 4)));
    let mut next = Default::default();
    granted(&slow, &mut next, 5, Take::fresh(1)).unwrap();
    fast.carry_over(&slow, &mut next, Nanos::ZERO);
    // Two are outstanding from -5 on.
    assert_eq!(next, Nanos::new(3));
}
