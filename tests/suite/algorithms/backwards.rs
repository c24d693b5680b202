//! Clocks can be set back: that grants nothing, and panics nowhere.

use super::{ask, bounds::keeps_its_bound, granted, histories::History, limits};
use proptest::test_runner::TestCaseResult;
use tower_ratelimit::{Algorithm, Ask, LeakyBucket, Take};

#[test]
fn a_bucket_stays_full_when_the_clock_is_set_back() {
    let limit = LeakyBucket::new(super::rate(1, 10)).capacity(2).unwrap();
    let mut empty_at = Default::default();
    granted(&limit, &mut empty_at, 1000, Take::fresh(2)).unwrap();
    let refused = ask(&limit, &mut empty_at, 0, Ask::Take(Take::fresh(1)));
    assert_eq!(super::wait(refused), Some(1010));
    assert_eq!(refused.remaining, 0);
}

mod by_the_readings_themselves {
    use super::*;
    use crate::algorithms::histories::check;

    /// What keeps an instant and counts nothing holds by the clock's own readings, too.
    fn hold<A: Algorithm>(algorithm: A, history: History) -> TestCaseResult {
        let mut state = A::State::default();
        let mut instants = Vec::new();
        let (mut now, mut wait) = (history.start, 0);
        for (index, step) in history.steps.iter().enumerate() {
            let then = step.pause.after(&algorithm, now, wait);
            now = match index % 2 {
                0 => now.saturating_sub(then - now),
                _ => then,
            };
            let take = Take { cost: 1, queued: step.take.queued && !instants.is_empty() };
            let decision = ask(&algorithm, &mut state, now, Ask::Take(take));
            wait = super::super::wait(decision).unwrap_or(0);
            instants.extend(decision.grant().map(|grant| grant.at.get()));
        }
        keeps_its_bound(&algorithm, instants)
    }

    #[test]
    fn a_bucket_keeps_its_bound() {
        check(limits::leaky_bucket(), hold);
    }

    #[test]
    fn strict_keeps_its_bound() {
        check(limits::strict(), hold);
    }

    #[test]
    fn burst_compensating_keeps_its_bound() {
        check(limits::burst_compensating(), hold);
    }
}
