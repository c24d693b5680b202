//! What a token bucket does, case by case.

use super::{ask, granted, pass_at, rate};
use std::time::Duration;
use tower_ratelimit::{Algorithm, Ask, Nanos, Outcome, Take, TokenBucket, algorithm::Tokens};

const MILLISECOND: u64 = 1_000_000;

fn every_100_ms() -> TokenBucket {
    TokenBucket::new(rate(1, 100 * MILLISECOND))
}

fn wait(limit: &TokenBucket, tokens: &mut Tokens, now: u64, cost: u32) -> Option<u64> {
    super::wait(ask(limit, tokens, now, Ask::Take(Take::fresh(cost))))
}

fn remaining(limit: &TokenBucket, tokens: &Tokens, now: u64) -> u32 {
    ask(limit, &mut tokens.clone(), now, Ask::Peek(Take::fresh(0))).remaining
}

/// R18 of the specification.
#[test]
fn a_caller_slower_than_the_refill_never_waits() {
    let limit = every_100_ms();
    let mut tokens = Default::default();
    for call in 0..100 {
        assert!(granted(&limit, &mut tokens, call * 150 * MILLISECOND, Take::fresh(1)).is_some());
    }
}

/// R19 of the specification.
#[test]
fn saturated_it_lets_go_one_for_each_that_arrives() {
    let limit = every_100_ms();
    let mut tokens = Default::default();
    // Somebody asks at each millisecond; what is over of a period is not lost.
    let passed = (0..1000).filter(|at| pass_at(&limit, &mut tokens, at * MILLISECOND, 1) == 1);
    assert!(passed.eq((0..10).map(|call| call * 100)));
}

/// R20 of the specification.
#[test]
fn a_refused_call_leaves_the_state_unchanged() {
    let limit = TokenBucket::new(rate(1, 1000 * MILLISECOND));
    let mut tokens = Default::default();
    granted(&limit, &mut tokens, 0, Take::fresh(1)).unwrap();
    let before = tokens;
    for _ in 0..5 {
        assert_eq!(wait(&limit, &mut tokens, 0, 1), Some(1000 * MILLISECOND));
    }
    assert_eq!(tokens, before);
    assert_eq!(pass_at(&limit, &mut tokens, 1000 * MILLISECOND, 9), 1);
}

#[test]
fn permits_arrive_several_at_a_time_on_the_grid_of_the_first_call() {
    let limit = TokenBucket::new(rate(3, 100)).capacity(7).unwrap();
    let mut tokens = Default::default();
    assert_eq!(pass_at(&limit, &mut tokens, 5, 9), 7);
    let passed = [104, 105, 204, 205, 406, 505].map(|now| pass_at(&limit, &mut tokens, now, 9));
    assert_eq!(passed, [0, 3, 0, 3, 6, 3]);
}

#[test]
fn a_full_bucket_has_no_grid_and_the_next_call_begins_one() {
    let limit = TokenBucket::new(rate(2, 100));
    let mut tokens = Default::default();
    assert_eq!(pass_at(&limit, &mut tokens, 0, 9), 2);
    assert_eq!(pass_at(&limit, &mut tokens, 150, 9), 2);
    let passed = [200, 249, 250].map(|now| pass_at(&limit, &mut tokens, now, 9));
    assert_eq!(passed, [0, 0, 2]);
}

#[test]
fn an_aligned_bucket_keeps_its_grid_whoever_calls() {
    // The same grid, however it is named.
    for instant in [30, 130, 1_000_030] {
        let limit = TokenBucket::new(rate(2, 100)).aligned_to(Duration::from_nanos(instant));
        let mut tokens = Default::default();
        let passed = [0, 29, 30, 150, 229, 230].map(|now| pass_at(&limit, &mut tokens, now, 9));
        assert_eq!(passed, [2, 0, 2, 2, 0, 2]);
        assert_eq!(wait(&limit, &mut tokens, 301, 1), Some(29));
    }
}

#[test]
fn with_less_at_first_the_first_call_begins_the_grid() {
    let limit = TokenBucket::new(rate(2, 100)).capacity(6).unwrap().initial(3).unwrap();
    let mut tokens = Default::default();
    assert_eq!(remaining(&limit, &tokens, 1_000_000), 3);
    assert!(granted(&limit, &mut tokens, 50, Take::fresh(1)).is_some());
    let found = [149, 150, 249, 250].map(|now| remaining(&limit, &tokens, now));
    assert_eq!(found, [2, 4, 4, 6]);
}

#[test]
fn a_first_call_that_is_refused_begins_the_grid_too() {
    let limit = TokenBucket::new(rate(2, 100)).initial(0).unwrap();
    let mut tokens = Default::default();
    let peek = ask(&limit, &mut tokens, 0, Ask::Peek(Take::fresh(2)));
    assert_eq!((super::wait(peek), tokens), (Some(100), Tokens::default()));
    assert_eq!(wait(&limit, &mut tokens, 50, 2), Some(100));
    assert_eq!(wait(&limit, &mut tokens, 149, 2), Some(1));
    assert_eq!(pass_at(&limit, &mut tokens, 150, 9), 2);
    let aligned = limit.aligned_to(Duration::ZERO);
    let mut tokens = Default::default();
    assert_eq!(wait(&aligned, &mut tokens, 50, 1), Some(50));
    assert_eq!(pass_at(&aligned, &mut tokens, 100, 9), 2);
}

#[test]
fn a_call_that_can_never_pass_begins_nothing() {
    let limit = TokenBucket::new(rate(2, 100)).initial(0).unwrap();
    let mut tokens = Tokens::default();
    let never = ask(&limit, &mut tokens, 0, Ask::Take(Take::fresh(3)));
    assert_eq!((never.outcome, tokens), (Outcome::Never, Tokens::default()));
}

#[test]
fn a_debt_is_paid_off_before_anything_is_granted() {
    let limit = TokenBucket::new(rate(2, 100)).capacity(3).unwrap();
    let mut tokens = Default::default();
    let charged = ask(&limit, &mut tokens, 0, Ask::Charge(8));
    assert_eq!((charged.remaining, charged.full_after), (0, Nanos::new(400)));
    // Five are owed: the third tick brings the first to be had.
    assert_eq!(wait(&limit, &mut tokens, 0, 1), Some(300));
    let passed = [299, 300, 399, 400].map(|now| pass_at(&limit, &mut tokens, now, 9));
    assert_eq!(passed, [0, 1, 0, 2]);
}

#[test]
fn the_largest_charges_do_not_overflow() {
    let limit = TokenBucket::new(rate(1, 1));
    let mut tokens = Default::default();
    for _ in 0..9 {
        let _ = ask(&limit, &mut tokens, 0, Ask::Charge(u32::MAX));
    }
    assert_eq!(wait(&limit, &mut tokens, 0, 1), Some(9 * u64::from(u32::MAX)));
}

#[test]
fn what_arrived_since_it_was_taken_does_not_come_back() {
    let limit = TokenBucket::new(rate(2, 100)).capacity(8).unwrap();
    let mut tokens = Default::default();
    let five = granted(&limit, &mut tokens, 0, Take::fresh(5)).unwrap();
    granted(&limit, &mut tokens, 0, Take::fresh(3)).unwrap();
    let _ = ask(&limit, &mut tokens, 199, Ask::GiveBack(five));
    // Two arrived, three came back.
    assert_eq!(remaining(&limit, &tokens, 199), 5);
}

#[test]
fn when_the_call_that_began_the_grid_goes_back_the_grid_begins_anew() {
    let limit = TokenBucket::new(rate(1, 100)).capacity(2).unwrap();
    let mut tokens = Default::default();
    let first = granted(&limit, &mut tokens, 0, Take::fresh(1)).unwrap();
    granted(&limit, &mut tokens, 90, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut tokens, 95, Ask::GiveBack(first));
    // The tick at 100 was that of the first call.
    let passed = [95, 100, 194, 195].map(|now| pass_at(&limit, &mut tokens, now, 9));
    assert_eq!(passed, [1, 0, 0, 1]);
}

#[test]
fn calls_that_come_and_go_do_not_hold_up_the_refill() {
    let limit = TokenBucket::new(rate(1, 100)).capacity(3).unwrap();
    let mut tokens = Default::default();
    granted(&limit, &mut tokens, 0, Take::fresh(2)).unwrap();
    for now in (10..100).step_by(10) {
        let grant = granted(&limit, &mut tokens, now, Take::fresh(1)).unwrap();
        let _ = ask(&limit, &mut tokens, now + 5, Ask::GiveBack(grant));
    }
    assert_eq!([99, 100].map(|now| remaining(&limit, &tokens, now)), [1, 2]);
}

#[test]
fn what_is_used_stays_used_when_the_capacity_changes() {
    let ten = TokenBucket::new(rate(1, 100)).capacity(10).unwrap();
    let mut tokens = Default::default();
    assert_eq!(pass_at(&ten, &mut tokens, 0, 6), 6);
    let carried = |limit: &TokenBucket, now| {
        let mut tokens = tokens;
        limit.carry_over(&ten, &mut tokens, Nanos::new(now));
        tokens
    };
    let twelve = ten.capacity(12).unwrap();
    assert_eq!(remaining(&twelve, &carried(&twelve, 50), 50), 6);
    assert_eq!(remaining(&twelve, &carried(&twelve, 50), 100), 7);
    // Four of a smaller bucket are owed.
    let two = ten.capacity(2).unwrap();
    let mut small = carried(&two, 50);
    assert_eq!(wait(&two, &mut small, 50, 1), Some(450));
    assert_eq!(pass_at(&two, &mut small, 500, 9), 1);
}

#[test]
fn the_last_tick_stays_when_the_rate_changes() {
    let slow = TokenBucket::new(rate(1, 1000)).capacity(3).unwrap();
    let mut tokens = Default::default();
    assert_eq!(pass_at(&slow, &mut tokens, 0, 9), 3);
    let fast = TokenBucket::new(rate(1, 100)).capacity(3).unwrap();
    fast.carry_over(&slow, &mut tokens, Nanos::new(50));
    let passed = [99, 100, 199, 200].map(|now| pass_at(&fast, &mut tokens, now, 9));
    assert_eq!(passed, [0, 1, 0, 1]);
}

#[test]
fn a_change_brings_nothing_for_the_time_before() {
    let slow = TokenBucket::new(rate(1, 1000)).capacity(3).unwrap();
    let mut spent = Default::default();
    assert_eq!(pass_at(&slow, &mut spent, 0, 9), 3);
    let fast = TokenBucket::new(rate(1, 100)).capacity(3).unwrap();
    let mut tokens = spent;
    fast.carry_over(&slow, &mut tokens, Nanos::new(950));
    let passed = [950, 1049, 1050].map(|now| pass_at(&fast, &mut tokens, now, 9));
    assert_eq!(passed, [1, 0, 1]);
    let aligned = fast.aligned_to(Duration::ZERO);
    let mut tokens = spent;
    aligned.carry_over(&slow, &mut tokens, Nanos::new(950));
    let passed = [950, 999, 1000].map(|now| pass_at(&aligned, &mut tokens, now, 9));
    assert_eq!(passed, [0, 0, 1]);
}

#[test]
fn what_nobody_asked_about_is_new_after_a_change() {
    let before = TokenBucket::new(rate(3, 100));
    let after = TokenBucket::new(rate(3, 100)).initial(1).unwrap();
    let mut tokens = Tokens::default();
    after.carry_over(&before, &mut tokens, Nanos::new(5));
    assert_eq!(tokens, Tokens::default());
    assert_eq!(pass_at(&after, &mut tokens, 5, 9), 1);
}

#[test]
fn a_spent_quota_stays_spent() {
    let limit = TokenBucket::quota(3).unwrap();
    let mut used = Default::default();
    let two = granted(&limit, &mut used, 0, Take::fresh(2)).unwrap();
    let outcome = |used: &mut u64, now, cost| {
        let decision = ask(&limit, used, now, Ask::Take(Take::fresh(cost)));
        assert_eq!(decision.retry_after().is_none(), !decision.is_granted());
        decision.outcome
    };
    assert_eq!(outcome(&mut used, 5, 2), Outcome::Exhausted);
    assert_eq!(outcome(&mut used, 5, 4), Outcome::Never);
    assert_eq!(pass_at(&limit, &mut used, 5, 9), 1);
    for now in [5, MILLISECOND, u64::MAX] {
        assert_eq!(outcome(&mut used, now, 1), Outcome::Exhausted);
        assert!(granted(&limit, &mut used, now, Take::fresh(0)).is_some());
    }
    let _ = ask(&limit, &mut used, 9, Ask::GiveBack(two));
    assert_eq!(pass_at(&limit, &mut used, 9, 9), 2);
}

#[test]
fn a_quota_in_debt_lets_nothing_go_until_it_is_given_back() {
    let limit = TokenBucket::quota(3).unwrap();
    let mut used = Default::default();
    let charged = ask(&limit, &mut used, 0, Ask::Charge(5));
    assert_eq!((charged.remaining, charged.full_after), (0, Nanos::MAX));
    let larger = TokenBucket::quota(6).unwrap();
    larger.carry_over(&limit, &mut used, Nanos::ZERO);
    assert_eq!(pass_at(&larger, &mut used, 0, 9), 1);
}
