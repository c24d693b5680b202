//! One call at a time, by example: leases that are renewed, lost and over.

use super::{ask, granted, rate};
use std::time::Duration;
use tower_ratelimit::{Algorithm, Ask, Nanos, Outcome, Serialized, Take};

/// With a lease of so many nanoseconds, and one completion in a hundred.
fn leased(lease: u64) -> Serialized {
    let limit = Serialized::new(rate(1, 100));
    limit.lease(Duration::from_nanos(lease)).unwrap()
}

/// R24 of the specification: nobody ends it any more.
#[test]
fn the_call_of_a_dead_holder_has_ended_when_its_lease_does() {
    let limit = leased(30);
    let mut state = Default::default();
    granted(&limit, &mut state, 7, Take::fresh(1)).unwrap();
    assert_eq!(limit.new_at(&state), Nanos::new(137));
    for (now, outcome) in [
        (8, Outcome::InUse(Some(Nanos::new(129)))),
        (36, Outcome::InUse(Some(Nanos::new(101)))),
        (37, Outcome::Later(Nanos::new(100))),
        (136, Outcome::Later(Nanos::new(1))),
    ] {
        let refused = ask(&limit, &mut state, now, Ask::Take(Take::fresh(1)));
        assert_eq!((now, refused.outcome), (now, outcome));
    }
    assert!(granted(&limit, &mut state, 137, Take::fresh(1)).is_some());
}

/// R22 of the specification.
#[test]
fn a_lease_is_renewed_or_its_holder_learns_that_it_lost_it() {
    let limit = leased(30);
    let mut state = Default::default();
    let first = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let first = ask(&limit, &mut state, 20, Ask::Renew(first)).grant().unwrap();
    let refused = ask(&limit, &mut state, 40, Ask::Take(Take::fresh(1)));
    assert_eq!(refused.outcome, Outcome::InUse(Some(Nanos::new(110))));
    // Too late, and nobody has noticed.
    let first = ask(&limit, &mut state, 60, Ask::Renew(first)).grant().unwrap();
    assert_eq!(first.at, Nanos::new(60));
    let second = granted(&limit, &mut state, 190, Take::fresh(1)).unwrap();
    let lost = ask(&limit, &mut state, 200, Ask::Renew(first));
    assert_eq!(lost.outcome, Outcome::InUse(Some(Nanos::new(120))));
    // It ends nothing of the other's.
    let before = state.clone();
    let _ = ask(&limit, &mut state, 200, Ask::End(first));
    let _ = ask(&limit, &mut state, 200, Ask::GiveBack(first));
    assert_eq!(state, before);
    assert!(ask(&limit, &mut state, 200, Ask::Renew(second)).is_granted());
}

#[test]
fn a_call_that_ends_after_its_lease_has_ended_with_it() {
    let limit = leased(30);
    let mut state = Default::default();
    let first = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 90, Ask::End(first));
    assert_eq!(granted(&limit, &mut state, 129, Take::fresh(1)), None);
    assert!(granted(&limit, &mut state, 130, Take::fresh(1)).is_some());
}

#[test]
fn what_is_charged_after_a_lease_has_ended_counts_besides_its_call() {
    let limit = Serialized::new(rate(2, 100)).lease(Duration::from_nanos(30)).unwrap();
    let mut state = Default::default();
    let lost = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 40, Ask::Charge(1));
    let refused = ask(&limit, &mut state, 50, Ask::Renew(lost));
    assert_eq!(refused.outcome, Outcome::Later(Nanos::new(80)));
}

#[test]
fn a_lease_that_would_end_beyond_the_time_line_does_not_end() {
    let limit = leased(10);
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, u64::MAX - 5, Take::fresh(1)).unwrap();
    let refused = ask(&limit, &mut state, u64::MAX, Ask::Take(Take::fresh(1)));
    assert_eq!(refused.outcome, Outcome::InUse(None));
    assert_eq!(limit.new_at(&state), Nanos::MAX);
    assert!(ask(&limit, &mut state, u64::MAX, Ask::Renew(grant)).is_granted());
}

#[test]
fn a_lease_is_longer_than_nothing_and_no_permit_keeps_longer() {
    for length in [Duration::ZERO, Duration::MAX] {
        let lease = Serialized::new(rate(1, 100)).lease(length).unwrap_err();
        assert_eq!((lease.parameter(), lease.allowed()), ("lease", "1 ns to 250 years"));
    }
    assert_eq!(leased(30).shelf_life(), Nanos::new(30));
    assert_eq!(leased(1_000_000_000).shelf_life(), tower_ratelimit::algorithm::WAKE_UP);
}
