//! Calls that hold permits, by example: leases that are renewed, lost and taken over.

use super::{ask, granted, limits::in_flight as limit};
use std::time::Duration;
use tower_ratelimit::{
    Algorithm, Ask, Concurrency, Nanos, Outcome, Strict, Take,
    algorithm::{Permits, WAKE_UP},
};

#[test]
fn the_hint_is_exact_while_nobody_ends_or_renews() {
    let limit = limit(3, Some(10));
    let mut state = Default::default();
    for (now, cost) in [(0, 1), (4, 2)] {
        granted(&limit, &mut state, now, Take::fresh(cost)).unwrap();
    }
    for (cost, wait) in [(1, 4), (2, 8), (3, 8)] {
        let take = Take::fresh(cost);
        let refused = ask(&limit, &mut state, 6, Ask::Take(take));
        assert_eq!(refused.outcome, Outcome::InUse(Some(Nanos::new(wait))), "{cost}");
        assert_eq!(granted(&limit, &mut state.clone(), 5 + wait, take), None);
        assert!(granted(&limit, &mut state.clone(), 6 + wait, take).is_some());
    }
}

#[test]
fn without_a_lease_nobody_can_say_when() {
    let limit = limit(1, None);
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let refused = ask(&limit, &mut state, u64::MAX, Ask::Take(Take::fresh(1)));
    assert_eq!(refused.outcome, Outcome::InUse(None));
    assert_eq!(refused.retry_after(), None);
    assert_eq!(limit.new_at(&state), Nanos::MAX);
    let _ = ask(&limit, &mut state, u64::MAX, Ask::End(grant));
    assert_eq!(limit.new_at(&state), Nanos::ZERO);
    assert!(granted(&limit, &mut state, u64::MAX, Take::fresh(1)).is_some());
}

const SECOND: u64 = 1_000_000_000;

/// R22 of the specification: the holder renews.
#[test]
fn a_holder_that_renews_its_lease_keeps_its_permit() {
    let limit = limit(1, Some(SECOND));
    let mut state = Default::default();
    let first = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let first = ask(&limit, &mut state, 700_000_000, Ask::Renew(first)).grant().unwrap();
    assert_eq!(first.at, Nanos::new(700_000_000));
    let refused = ask(&limit, &mut state, 1_100_000_000, Ask::Take(Take::fresh(1)));
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(600)));
    let _ = ask(&limit, &mut state, 1_300_000_000, Ask::End(first));
    assert!(granted(&limit, &mut state, 1_300_000_000, Take::fresh(1)).is_some());
}

/// R22 of the specification: the holder does not renew in time.
#[test]
fn a_holder_whose_lease_was_taken_over_learns_it_and_frees_nothing() {
    let limit = limit(1, Some(SECOND));
    let mut state = Default::default();
    let first = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let second = granted(&limit, &mut state, SECOND, Take::fresh(1)).unwrap();
    let lost = ask(&limit, &mut state, 1_300_000_000, Ask::Renew(first));
    assert_eq!(lost.outcome, Outcome::InUse(Some(Nanos::new(700_000_000))));
    for ends in [Ask::End(first), Ask::GiveBack(first)] {
        let _ = ask(&limit, &mut state, 1_300_000_000, ends);
        assert_eq!(granted(&limit, &mut state, 1_300_000_000, Take::fresh(1)), None);
    }
    let _ = ask(&limit, &mut state, 1_300_000_000, Ask::End(second));
    assert!(granted(&limit, &mut state, 1_300_000_000, Take::fresh(1)).is_some());
}

#[test]
fn a_lease_renewed_too_late_goes_on_when_nobody_wanted_the_permit() {
    let limit = limit(1, Some(10));
    let mut state = Default::default();
    let first = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let renewed = ask(&limit, &mut state, 15, Ask::Renew(first)).grant().unwrap();
    assert_eq!(granted(&limit, &mut state, 24, Take::fresh(1)), None);
    let _ = ask(&limit, &mut state, 24, Ask::End(renewed));
    assert!(granted(&limit, &mut state, 24, Take::fresh(1)).is_some());
}

#[test]
fn of_two_that_come_too_late_as_many_go_on_as_there_is_room_for() {
    let limit = limit(2, Some(10));
    let mut state = Default::default();
    let [first, second] = [(); 2].map(|()| granted(&limit, &mut state, 0, Take::fresh(1)).unwrap());
    granted(&limit, &mut state, 12, Take::fresh(1)).unwrap();
    assert!(ask(&limit, &mut state, 13, Ask::Renew(first)).is_granted());
    assert!(!ask(&limit, &mut state, 13, Ask::Renew(second)).is_granted());
}

/// R23 of the specification.
#[test]
fn with_another_capacity_those_in_flight_stay() {
    let (three, one, five) = (limit(3, None), limit(1, None), limit(5, None));
    let mut state = Default::default();
    let grants = [(); 3].map(|()| granted(&three, &mut state, 0, Take::fresh(1)).unwrap());
    let mut more = state.clone();
    five.carry_over(&three, &mut more, Nanos::ZERO);
    assert_eq!(super::pass_at(&five, &mut more, 1, 9), 2);
    one.carry_over(&three, &mut state, Nanos::ZERO);
    for grant in grants {
        assert_eq!(granted(&one, &mut state, 1, Take::fresh(1)), None);
        let renewed = ask(&one, &mut state, 1, Ask::Renew(grant)).grant();
        let _ = ask(&one, &mut state, 1, Ask::End(renewed.unwrap()));
    }
    assert_eq!(super::pass_at(&one, &mut state, 1, 9), 1);
}

#[test]
fn another_lease_applies_to_those_in_flight() {
    let (short, long) = (limit(1, Some(10)), limit(1, Some(100)));
    let mut state = Default::default();
    granted(&long, &mut state, 0, Take::fresh(1)).unwrap();
    let mut shortened = state.clone();
    short.carry_over(&long, &mut shortened, Nanos::new(5));
    assert_eq!(granted(&short, &mut shortened, 9, Take::fresh(1)), None);
    assert!(granted(&short, &mut shortened, 10, Take::fresh(1)).is_some());
    limit(1, None).carry_over(&long, &mut state, Nanos::new(5));
    assert_eq!(granted(&limit(1, None), &mut state, 1000, Take::fresh(1)), None);
}

/// R24 of the specification.
#[test]
fn the_permit_of_a_killed_holder_is_back_after_its_own_lease() {
    let limit = limit(2, Some(SECOND));
    let mut state = Default::default();
    let mut busy = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let _killed = granted(&limit, &mut state, 300_000_000, Take::fresh(1)).unwrap();
    for tenth in 4..13 {
        let now = tenth * 100_000_000;
        busy = ask(&limit, &mut state, now, Ask::Renew(busy)).grant().unwrap();
        assert_eq!(granted(&limit, &mut state, now, Take::fresh(1)), None, "{now}");
    }
    assert_eq!(granted(&limit, &mut state, 1_299_999_999, Take::fresh(1)), None);
    assert_eq!(super::pass_at(&limit, &mut state, 1_300_000_000, 9), 1);
}

#[test]
fn what_was_lost_is_not_found_again_in_a_grant_at_the_same_reading_of_the_clock() {
    let limit = limit(1, Some(10));
    let mut state = Default::default();
    let lost = granted(&limit, &mut state, 5, Take::fresh(1)).unwrap();
    let next = granted(&limit, &mut state, 15, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 15, Ask::End(next));
    // The clock is set back.
    let again = granted(&limit, &mut state, 5, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 5, Ask::End(lost));
    assert_eq!(granted(&limit, &mut state, 5, Take::fresh(1)), None);
    let _ = ask(&limit, &mut state, 5, Ask::End(again));
    assert!(granted(&limit, &mut state, 5, Take::fresh(1)).is_some());
}

#[test]
fn a_lease_that_ended_by_a_clock_that_was_set_back_is_renewed_also_above_a_smaller_capacity() {
    let (four, two) = (limit(4, Some(10)), limit(2, Some(10)));
    let mut state = Default::default();
    let kept = granted(&four, &mut state, 0, Take::fresh(3)).unwrap();
    granted(&four, &mut state, 0, Take::fresh(1)).unwrap();
    // It has ended as long as the clock shows that, and nobody takes its permits.
    assert_eq!(ask(&four, &mut state, 10, Ask::Peek(Take::fresh(1))).remaining, 3);
    two.carry_over(&four, &mut state, Nanos::new(10));
    let renewed = ask(&two, &mut state, 7, Ask::Renew(kept)).grant().unwrap();
    assert_eq!(granted(&two, &mut state, 7, Take::fresh(1)), None);
    let _ = ask(&two, &mut state, 7, Ask::End(renewed));
    assert_eq!(super::pass_at(&two, &mut state, 7, 9), 1);
}

#[test]
fn a_lease_whose_permits_were_taken_before_the_clock_was_set_back_is_lost() {
    let limit = limit(2, Some(10));
    let mut state = Default::default();
    let lost = granted(&limit, &mut state, 0, Take::fresh(2)).unwrap();
    granted(&limit, &mut state, 10, Take::fresh(1)).unwrap();
    let renewed = ask(&limit, &mut state, 7, Ask::Renew(lost));
    assert_eq!(renewed.outcome, Outcome::InUse(Some(Nanos::new(13))));
    assert_eq!(super::pass_at(&limit, &mut state, 7, 9), 1);
}

#[test]
fn permits_charged_are_in_use_until_their_grant_ends_or_their_lease() {
    let limit = limit(2, Some(10));
    let mut state = Default::default();
    let charged = ask(&limit, &mut state, 0, Ask::Charge(5));
    assert_eq!((charged.remaining, charged.full_after.get()), (0, 10));
    let refused = ask(&limit, &mut state, 3, Ask::Take(Take::fresh(1)));
    assert_eq!(refused.outcome, Outcome::InUse(Some(Nanos::new(7))));
    assert_eq!(super::pass_at(&limit, &mut state.clone(), 10, 9), 2);
    let _ = ask(&limit, &mut state, 3, Ask::End(charged.grant().unwrap()));
    assert_eq!(super::pass_at(&limit, &mut state, 3, 9), 2);
}

#[test]
fn a_lease_that_would_end_beyond_the_time_line_does_not_end() {
    let limit = limit(1, Some(10));
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, u64::MAX - 5, Take::fresh(1)).unwrap();
    let refused = ask(&limit, &mut state, u64::MAX, Ask::Take(Take::fresh(1)));
    assert_eq!(refused.outcome, Outcome::InUse(None));
    assert!(ask(&limit, &mut state, u64::MAX, Ask::Renew(grant)).is_granted());
}

#[test]
fn a_limit_on_calls_in_flight_has_a_capacity_and_no_rate() {
    let capacity = Concurrency::new(0).unwrap_err();
    assert_eq!(capacity.to_string(), "capacity is 0, but must be at least 1");
    for length in [Duration::ZERO, Duration::from_nanos(1 << 63), Duration::MAX] {
        let lease = Concurrency::new(1).unwrap().lease(length).unwrap_err();
        assert_eq!((lease.parameter(), lease.allowed()), ("lease", "1 ns to 250 years"));
    }
    let (short, long) = (limit(2, Some(10)), limit(2, Some(60 * SECOND)));
    assert_eq!(short.shelf_life(), Nanos::new(10));
    assert_eq!(long.shelf_life(), Nanos::new(SECOND));
    assert_eq!(limit(2, None).shelf_life(), Nanos::new(SECOND));
    assert_eq!((long.rate(0), long.interval()), (None, WAKE_UP));
    assert_eq!(long.most_in(Duration::ZERO), 0);
    assert_eq!(long.most_in(Duration::from_nanos(1)), u64::MAX);
    let held = [<Concurrency as Algorithm>::Permits::HELD, <Strict as Algorithm>::Permits::HELD];
    assert_eq!(held, [true, false]);
}
