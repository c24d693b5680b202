//! An algorithm chosen while the program runs: as the one in it, and changed for another.

use super::{
    ask,
    histories::{History, check, walk},
    limits, pass_at, rate, wait,
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::{fmt::Debug, time::Duration};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Concurrency, Grant, JointLimiter, LeakyBucket, ManualClock,
    Nanos, Outcome, Quota, Rate, RateLimiter, Serialized, SlidingWindow, Strict, Take, TokenBucket,
    algorithm::AnyState,
};

const MILLISECOND: u64 = 1_000_000;

fn read(line: &str) -> AnyAlgorithm {
    line.parse().unwrap()
}

/// The same answers to every ask after every step of a history.
fn answers_as_the_one_in_it<A>(limit: A, history: History) -> TestCaseResult
where
    A: Algorithm + Into<AnyAlgorithm> + Clone,
{
    let any: AnyAlgorithm = limit.clone().into();
    let mut state = AnyState::default();
    prop_assert_eq!(any.interval(), limit.interval());
    prop_assert_eq!(any.shelf_life(), limit.shelf_life());
    prop_assert_eq!(any.rate(0), limit.rate(0));
    prop_assert_eq!(any.rate(7), limit.rate(7));
    for length in [0, 1, 1000, 1_000_000_007].map(Duration::from_nanos) {
        prop_assert_eq!(any.most_in(length), limit.most_in(length));
    }
    walk(&limit, &history, |moment| {
        let (now, take) = (moment.now, moment.take);
        prop_assert_eq!(ask(&any, &mut state, now, Ask::Take(take)), moment.decision);
        prop_assert_eq!(any.new_at(&state), limit.new_at(moment.after));
        let grant = Grant { cost: take.cost.min(3), at: Nanos::new(history.start) };
        let grant = moment.decision.grant().unwrap_or(grant);
        let asks = [
            Ask::Peek(take),
            Ask::Renew(grant),
            Ask::End(grant),
            Ask::GiveBack(grant),
            Ask::Charge(take.cost.min(3)),
        ];
        for this in asks {
            let (mut ours, mut theirs) = (state.clone(), moment.after.clone());
            for later in [0, 1, 1000] {
                let now = now + later;
                prop_assert_eq!(
                    ask(&any, &mut ours, now, this),
                    ask(&limit, &mut theirs, now, this)
                );
                prop_assert_eq!(any.new_at(&ours), limit.new_at(&theirs));
            }
        }
        Ok(())
    })
}

macro_rules! each_answers_as_itself {
    ($($limit:ident),+ $(,)?) => {$(
        mod $limit {
            use super::*;

            #[test]
            fn in_any_algorithm_answers_as_itself() {
                check(limits::$limit(), answers_as_the_one_in_it);
            }
        }
    )+};
}

each_answers_as_itself![
    leaky_bucket,
    any_window,
    strict,
    burst_compensating,
    sliding_window,
    token_bucket,
    warming_bucket,
    quota,
    fixed_window,
    sliding_window_counter,
];

#[test]
fn calls_in_flight_in_any_algorithm_answer_as_themselves() {
    fn same<A: Algorithm + Into<AnyAlgorithm> + Clone>(limit: A) {
        let any: AnyAlgorithm = limit.clone().into();
        let (mut ours, mut theirs) = (AnyState::default(), A::State::default());
        let take = Ask::Take(Take::fresh(1));
        let grant = Grant { cost: 1, at: Nanos::new(5) };
        let other = Grant { cost: 1, at: Nanos::new(7) };
        let asks = [
            (5, take),
            (6, take),
            (7, take),
            (8, Ask::Renew(grant)),
            (9, Ask::End(other)),
            (10, take),
            (20, Ask::End(grant)),
            (30, Ask::Charge(1)),
            (31, take),
            (2_000_000_000, take),
        ];
        for (now, this) in asks {
            assert_eq!(ask(&any, &mut ours, now, this), ask(&limit, &mut theirs, now, this));
            assert_eq!(any.new_at(&ours), limit.new_at(&theirs));
        }
    }
    same(Concurrency::new(2).unwrap());
    same(Concurrency::new(1).unwrap().lease(Duration::from_secs(1)).unwrap());
    same(Serialized::new(rate(2, 1000)));
    same(Serialized::new(rate(2, 1000)).lease(Duration::from_secs(1)).unwrap());
}

#[test]
fn the_same_algorithm_with_other_parameters_takes_its_state_over() {
    fn same<A>(before: A, after: A)
    where
        A: Algorithm + Into<AnyAlgorithm> + Clone,
        A::State: Debug,
    {
        let (any_before, any): (AnyAlgorithm, AnyAlgorithm) =
            (before.clone().into(), after.clone().into());
        let (mut ours, mut theirs) = (AnyState::default(), A::State::default());
        for now in [1, 2, 3] {
            let _ = ask(&any_before, &mut ours, now, Ask::Take(Take::fresh(1)));
            let _ = ask(&before, &mut theirs, now, Ask::Take(Take::fresh(1)));
        }
        any.carry_over(&any_before, &mut ours, Nanos::new(40));
        after.carry_over(&before, &mut theirs, Nanos::new(40));
        for now in [40, 50, 100, 1000, 1500] {
            let take = Ask::Take(Take::fresh(1));
            assert_eq!(ask(&any, &mut ours, now, take), ask(&after, &mut theirs, now, take));
        }
    }
    let [slow, fast] = [rate(1, 1000), rate(1, 100)];
    let bucket = |rate| LeakyBucket::new(rate).capacity(2).unwrap();
    same(bucket(slow), bucket(fast));
    same(Strict::new(slow), Strict::new(fast));
    same(SlidingWindow::new(slow), SlidingWindow::new(fast));
    same(TokenBucket::new(slow), TokenBucket::new(fast));
    same(Serialized::new(slow), Serialized::new(fast));
    same(Quota::new(2).unwrap(), Quota::new(5).unwrap());
}

#[test]
fn another_algorithm_takes_over_the_permits_that_were_not_to_be_had() {
    let (before, after) = (read("leaky bucket 1/s, capacity 5"), read("sliding window 5/min"));
    let mut state = AnyState::default();
    assert_eq!(pass_at(&before, &mut state, 0, 3), 3);
    after.carry_over(&before, &mut state, Nanos::ZERO);
    assert_eq!(pass_at(&after, &mut state, 0, 9), 2);
    let refused = ask(&after, &mut state, 0, Ask::Take(Take::fresh(1)));
    assert_eq!(wait(refused), Some(60_000 * MILLISECOND));
}

#[test]
fn another_algorithm_takes_over_the_permits_of_the_rate_with_the_most_taken() {
    let (before, after) = (read("sliding window 10/s and 1000/day"), read("quota 1000"));
    let mut state = AnyState::default();
    for second in 0..90 {
        assert_eq!(pass_at(&before, &mut state, second * 1000 * MILLISECOND, 10), 10);
    }
    let now = Nanos::new(90 * 1000 * MILLISECOND);
    after.carry_over(&before, &mut state, now);
    assert_eq!(pass_at(&after, &mut state, now.get(), 200), 100);
}

#[test]
fn another_algorithm_takes_over_no_more_than_it_has() {
    let (before, after) = (read("sliding window 1000/day"), read("leaky bucket 10/s, capacity 5"));
    let mut state = AnyState::default();
    assert_eq!(pass_at(&before, &mut state, 0, 900), 900);
    after.carry_over(&before, &mut state, Nanos::ZERO);
    assert_eq!(pass_at(&after, &mut state, 0, 9), 0);
    assert_eq!(pass_at(&after, &mut state, 100 * MILLISECOND, 9), 1);
}

#[test]
fn an_unused_limit_stays_unused_when_the_algorithm_changes() {
    let (before, after) = (read("strict 1/hour"), read("leaky bucket 10/s, capacity 5"));
    let mut state = AnyState::default();
    after.carry_over(&before, &mut state, Nanos::new(7));
    assert_eq!(pass_at(&after, &mut state, 7, 9), 5);
}

#[test]
fn permits_of_the_algorithm_before_give_nothing_back_to_another() {
    let (before, after) = (read("quota 5"), read("leaky bucket 1/s, capacity 5"));
    let mut state = AnyState::default();
    let take = Ask::Take(Take::fresh(5));
    let grant = ask(&before, &mut state, 10, take).grant().unwrap();
    after.carry_over(&before, &mut state, Nanos::new(10));
    // One has leaked, and was taken again.
    assert_eq!(pass_at(&after, &mut state, 1000 * MILLISECOND + 10, 9), 1);
    let given = ask(&after, &mut state, 1000 * MILLISECOND + 10, Ask::GiveBack(grant));
    assert_eq!(given.outcome, Outcome::Granted(grant));
    assert_eq!(pass_at(&after, &mut state, 1000 * MILLISECOND + 10, 9), 0);
    // Those granted since come back as ever.
    let own = ask(&after, &mut state, 2000 * MILLISECOND + 10, Ask::Take(Take::fresh(1)));
    let _ = ask(&after, &mut state, 2000 * MILLISECOND + 10, Ask::GiveBack(own.grant().unwrap()));
    assert_eq!(pass_at(&after, &mut state, 2000 * MILLISECOND + 10, 9), 1);
}

#[test]
fn a_bound_on_the_calls_in_flight_begins_anew() {
    let (before, after) = (read("sliding window 3/hour"), read("concurrency 2"));
    let mut state = AnyState::default();
    assert_eq!(pass_at(&before, &mut state, 0, 9), 3);
    after.carry_over(&before, &mut state, Nanos::ZERO);
    assert_eq!(pass_at(&after, &mut state, 0, 9), 2, "nobody would ever end those of before");
}

#[test]
fn a_limiter_goes_on_by_another_algorithm_while_calls_run() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(read("concurrency 2")).clock(clock.clone()).build();
    let first = limiter.try_acquire().unwrap();
    let _second = limiter.try_acquire().unwrap();
    limiter.try_acquire().unwrap_err();
    limiter.set_algorithm(read("leaky bucket 10/s, capacity 2"));
    // Two run, so the bucket is full of them, and their end does not empty it.
    drop(first);
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(100)));
    clock.advance(Duration::from_millis(100));
    limiter.try_acquire().unwrap();
}

/// One call stands in line when the kind of the limit changes, and is let go by that.
fn let_go_by_a_change(slack: u64) -> (RateLimiter<AnyAlgorithm>, ManualClock) {
    let clock = ManualClock::new();
    let builder = RateLimiter::builder(read("strict 1/hour")).clock(clock.clone());
    let limiter = builder.slack(Duration::from_millis(slack)).build();
    limiter.try_acquire().unwrap();
    (limiter, clock)
}

#[test]
fn permits_that_another_algorithm_grants_as_it_takes_over_come_back() {
    for slack in [0, 30] {
        let (limiter, clock) = let_go_by_a_change(slack);
        let mut waiting = task::spawn(limiter.acquire());
        assert_pending!(waiting.poll());
        clock.advance(Duration::from_secs(60));
        limiter.set_algorithm(read("concurrency 1"));
        assert!(waiting.is_woken());
        limiter.try_acquire().unwrap_err();
        drop(waiting);
        limiter.try_acquire().unwrap();
    }
}

#[test]
fn permits_that_another_algorithm_grants_as_it_takes_over_perish() {
    let (limiter, clock) = let_go_by_a_change(0);
    let mut late = task::spawn(limiter.acquire());
    assert_pending!(late.poll());
    limiter.set_algorithm(read("concurrency 1"));
    clock.advance(Duration::from_secs(60));
    // It was looked at too late, and is let go anew.
    drop(assert_ready_ok!(late.poll()));
    limiter.try_acquire().unwrap();
}

#[test]
fn the_end_of_a_call_of_the_algorithm_before_ends_none_of_another() {
    let (limiter, _clock) = let_go_by_a_change(0);
    limiter.set_algorithm(read("concurrency 1"));
    let before = limiter.try_acquire().unwrap();
    limiter.set_algorithm(read("strict 1/hour"));
    limiter.set_algorithm(read("concurrency 1"));
    let _other = limiter.try_acquire().unwrap();
    drop(before);
    limiter.try_acquire().unwrap_err();
}

#[test]
fn permits_reserved_of_the_algorithm_before_are_refunded_to_the_one_that_they_are_used_of() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(read("quota 5")).clock(clock.clone()).build();
    let mut reserve = task::spawn(limiter.reserve());
    let reserved = assert_ready_ok!(reserve.poll());
    limiter.set_algorithm(read("concurrency 1"));
    reserved.commit().unwrap().refund();
    limiter.try_acquire().unwrap();
}

#[test]
fn permits_that_another_algorithm_of_several_limits_grants_as_it_takes_over_come_back() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let any = limits.limit("any", read("strict 1/hour")).unwrap();
    let limiter = limits.build();
    let call = limiter.on(any, &());
    drop(call.try_acquire().unwrap());
    let mut waiting = task::spawn(call.acquire());
    assert_pending!(waiting.poll());
    clock.advance(Duration::from_secs(60));
    limiter.set_algorithm(any, read("concurrency 1")).unwrap();
    assert!(waiting.is_woken());
    call.try_acquire().unwrap_err();
    drop(waiting);
    call.try_acquire().unwrap();
}

#[test]
fn waits_are_exact_at_the_instant_of_a_change() {
    for line in ["strict 10/s", "leaky bucket 10/s, capacity 1", "sliding window 1/100ms"] {
        let mut state = AnyState::default();
        let (before, after) = (read("quota 1"), read(line));
        after.carry_over(&before, &mut state, Nanos::new(50));
        assert_eq!(pass_at(&after, &mut state, 50, 9), 1, "{line}");
        let take = Ask::Take(Take::fresh(1));
        let wait = wait(ask(&after, &mut state, 50, take)).unwrap();
        assert!(!ask(&after, &mut state, 50 + wait - 1, take).is_granted(), "{line}");
        assert!(ask(&after, &mut state, 50 + wait, take).is_granted(), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_exactly_the_maximum_is_waited() {
    let start = tokio::time::Instant::now();
    for line in ["leaky bucket 10/s, capacity 1", "strict 10/s", "burst compensating 10/s"] {
        let limiter = RateLimiter::new(read(line));
        drop(limiter.try_acquire().unwrap());
        let short = limiter.acquire().max_wait(Duration::from_millis(99)).await.unwrap_err();
        assert_eq!(short.retry_after(), Some(Duration::from_millis(100)), "{line}");
        limiter.acquire().max_wait(Duration::from_millis(100)).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::from_millis(300));
}

#[test]
fn a_call_that_ends_makes_room_where_calls_hold_their_permits() {
    let limiter = RateLimiter::new(read("concurrency 1"));
    let permit = limiter.try_acquire().unwrap();
    limiter.try_acquire().unwrap_err();
    drop(permit);
    limiter.try_acquire().unwrap();
    let rate = Rate::per_hour(1).unwrap();
    let limiter = RateLimiter::new(AnyAlgorithm::from(Strict::new(rate)));
    drop(limiter.try_acquire().unwrap());
    limiter.try_acquire().unwrap_err();
}
