//! Slots by example: instants that anybody can work out.

use super::{Seam, rate, wait};
use std::time::Duration;
use tower_ratelimit::{
    Algorithm, Ask, BurstCompensating, FixedWindow, LeakyBucket, Nanos, Outcome, Quota, Serialized,
    SlidingWindow, SlidingWindowCounter, Strict, Take, TokenBucket, store::StoreAsk,
};

/// The instants at which calls of these costs come that all reserve at `now`.
fn slots<A: Algorithm>(seam: &mut Seam<A>, now: u64, costs: &[u32]) -> Vec<u64> {
    costs.iter().map(|&cost| seam.reserve(now, cost).unwrap().at.get()).collect()
}

#[test]
fn a_line_is_let_go_slot_by_slot() {
    let strict = Strict::new(rate(1, 10));
    assert_eq!(slots(&mut Seam::new(strict), 5, &[1, 1, 2, 1]), [5, 15, 25, 45]);
    let bucket = LeakyBucket::new(rate(1, 10)).capacity(3).unwrap();
    assert_eq!(slots(&mut Seam::new(bucket), 5, &[1, 1, 1, 1, 3, 1]), [5, 5, 5, 15, 45, 55]);
    let pacer = BurstCompensating::new(rate(1, 10));
    assert_eq!(slots(&mut Seam::new(pacer), 5, &[1, 1, 1]), [5, 15, 25]);
    let window = SlidingWindow::new(rate(2, 10));
    assert_eq!(slots(&mut Seam::new(window), 5, &[1, 1, 1, 2, 1]), [5, 5, 15, 25, 35]);
    let window = FixedWindow::new(rate(2, 10)).aligned_to(Duration::ZERO);
    assert_eq!(slots(&mut Seam::new(window), 5, &[1, 1, 1, 2, 1]), [5, 5, 10, 20, 30]);
    let bucket = TokenBucket::new(rate(2, 10)).capacity(4).unwrap();
    assert_eq!(slots(&mut Seam::new(bucket), 5, &[3, 1, 3, 1]), [5, 5, 25, 25]);
    let counter = SlidingWindowCounter::new(rate(2, 10));
    assert_eq!(slots(&mut Seam::new(counter), 5, &[2, 1]), [5, 15]);
}

#[test]
fn a_bucket_that_is_empty_at_first_lets_go_whoever_waits_for_its_first_permits() {
    let bucket = TokenBucket::new(rate(2, 10)).initial(0).unwrap();
    assert_eq!(slots(&mut Seam::new(bucket), 5, &[1, 1, 1]), [15, 15, 25]);
    // Whoever does not wait begins the time, too.
    let mut seam = Seam::new(bucket);
    assert_eq!(wait(seam.reserve_within(5, 1, Nanos::new(9))), Some(10));
    assert_eq!(wait(seam.reserve_within(8, 1, Nanos::ZERO)), Some(7));
    assert!(seam.take(15, 2).is_granted());
}

#[test]
fn what_never_comes_is_not_reserved() {
    let mut quota = Seam::new(Quota::new(2).unwrap());
    assert_eq!(slots(&mut quota, 0, &[1, 1]), [0, 0]);
    let outcome =
        |seam: &mut Seam<Quota>, cost| seam.reserve_within(0, cost, Nanos::MAX).decision.outcome;
    assert_eq!(outcome(&mut quota, 1), Outcome::Exhausted);
    assert_eq!(outcome(&mut quota, 3), Outcome::Never);
}

#[test]
fn a_call_that_is_yet_to_run_keeps_the_turn_of_a_serialized_limit() {
    let mut seam = Seam::new(Serialized::new(rate(1, 10)));
    let first = seam.take(0, 1).decision.grant().unwrap();
    seam.ask(3, StoreAsk::Ask(Ask::End(first)));
    let second = seam.reserve(4, 1).unwrap();
    assert_eq!(second.at.get(), 13);
    assert_eq!(seam.reserve(4, 1), None);
    assert_eq!(seam.take(13, 1).decision.outcome, Outcome::InUse(None));
    seam.ask(15, StoreAsk::Ask(Ask::End(second)));
    assert_eq!(seam.reserve(15, 1).unwrap().at.get(), 25);
}

#[test]
fn only_a_reservation_says_how_long_until_its_permits_may_be_used() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    assert_eq!(slots(&mut seam, 0, &[1, 1, 1]), [0, 10, 20]);
    for ask in [
        StoreAsk::Ask(Ask::Charge(1)),
        StoreAsk::Ask(Ask::Peek(Take::fresh(0))),
        StoreAsk::Ask(Ask::Take(Take::fresh(0))),
        StoreAsk::Reserve { cost: 0, max_wait: Nanos::ZERO },
    ] {
        let answer = seam.ask(5, ask);
        assert_eq!(
            (answer.is_granted(), answer.wait, answer.reserved()),
            (true, Nanos::ZERO, None)
        );
    }
}

#[test]
fn a_charge_makes_those_wait_who_come_after_it() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    assert_eq!(slots(&mut seam, 0, &[1, 1]), [0, 10]);
    seam.ask(5, StoreAsk::Ask(Ask::Charge(2)));
    assert_eq!(slots(&mut seam, 5, &[1]), [40]);
}

#[test]
fn a_late_call_moves_those_who_come_after_it_by_as_much() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    let first = seam.reserve(0, 1).unwrap();
    assert_eq!(slots(&mut seam, 0, &[1]), [10]);
    let renewed = seam.ask(4, StoreAsk::Ask(Ask::Renew(first))).decision.grant();
    assert_eq!(renewed.unwrap().at.get(), 4);
    assert_eq!(slots(&mut seam, 4, &[1]), [24]);
}

#[test]
fn nobody_waits_beyond_the_end_of_the_time_line() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    let now = u64::MAX - 15;
    assert_eq!(slots(&mut seam, now, &[1]), [now]);
    assert!(!seam.reserve_within(now, 1, Nanos::MAX).is_granted());
    assert!(!seam.reserve_within(u64::MAX, 1, Nanos::MAX).is_granted());
    assert!(!seam.take(u64::MAX, 1).is_granted());
}
