//! The same deeds on both ways: everybody is told the same.

use super::{
    buckets,
    deeds::{Deed, deed},
    long::Long,
    ms,
    side::Side,
    stricts,
    whole::{Kept, Kind, Whole},
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use tower_ratelimit::{ManualClock, Nanos};

/// Does the same to both limiters, each with its clock.
fn perform_on_both<A: Kept, B: Kept>(
    wholes: (&Whole<A>, &Whole<B>),
    several: (&[A], &[B]),
    clocks: &[ManualClock; 2],
    deeds: &[Deed],
) -> TestCaseResult {
    let limits = (wholes.0.limits(), wholes.1.limits());
    let mut short = Side::new(wholes.0, &limits.0, several.0, clocks[0].clone());
    let mut long = Side::new(wholes.1, &limits.1, several.1, clocks[1].clone());
    for (number, deed) in deeds.iter().enumerate() {
        let now = clocks[0].now();
        let set = |to: Nanos| clocks.iter().for_each(|clock| clock.set(to.into()));
        match *deed {
            Deed::On(by) => set(now + by.into()),
            Deed::ToTurn(key, more) => {
                let turns = (short.turn(key), long.turn(key));
                prop_assert_eq!(turns.0, turns.1, "deed {}: {:?}", number, deed);
                set(Nanos::new(turns.0.get().saturating_add_signed(more)).max(now));
            }
            Deed::Back(by) => {
                // A key that equals new may be forgotten or not, which those notice who come earlier.
                short.reset_keys_that_equal_new();
                long.reset_keys_that_equal_new();
                set(now - Nanos::from(by));
            }
            _ => {}
        }
        let told = (short.perform(*deed), long.perform(*deed));
        prop_assert_eq!(&told.0, &told.1, "deed {}: {:?} at {:?}", number, deed, now);
        // Whoever looks may make a line, and so it is done now and then.
        if number % 8 == 7 {
            prop_assert_eq!(short.says(), long.says(), "after deed {}: {:?}", number, deed);
        }
    }
    prop_assert_eq!(short.says(), long.says(), "in the end");
    Ok(())
}

fn are_alike<A: Kept>(
    kind: Kind,
    several: &[A],
    parts: &[(Vec<Deed>, usize, u64)],
) -> TestCaseResult
where
    Long<A>: Kept,
{
    let longs: Vec<_> = several.iter().cloned().map(Long).collect();
    let mut clocks = [ManualClock::new(), ManualClock::new()];
    let mut short = Whole::new(kind, several[0].clone(), &clocks[0]);
    let mut long = Whole::new(kind, longs[0].clone(), &clocks[1]);
    for (deeds, next, pause) in parts {
        perform_on_both((&short, &long), (several, &longs), &clocks, deeds)?;
        let next = next % several.len();
        let snapshots = (short.snapshot(), long.snapshot());
        let restored = Whole::restored(&snapshots.0, kind, several[next].clone(), ms(*pause));
        short = restored.0;
        clocks[0] = restored.1;
        let restored = Whole::restored(&snapshots.1, kind, longs[next].clone(), ms(*pause));
        long = restored.0;
        clocks[1] = restored.1;
    }
    Ok(())
}

/// What is done until the limiter is restored, by which parameters it goes on, and after how long.
fn parts() -> impl Strategy<Value = Vec<(Vec<Deed>, usize, u64)>> {
    let part = (prop::collection::vec(deed(), 1..80), 0..4_usize, 0..500_u64);
    prop::collection::vec(part, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_bucket_answers_alike_on_both_ways(parts in parts()) {
        are_alike(Kind::Single, &buckets(), &parts)?;
    }

    #[test]
    fn a_strict_limit_answers_alike_on_both_ways(parts in parts()) {
        are_alike(Kind::Single, &stricts(), &parts)?;
    }

    #[test]
    fn buckets_of_keys_answer_alike_on_both_ways(parts in parts()) {
        are_alike(Kind::Keyed, &buckets(), &parts)?;
    }

    #[test]
    fn strict_limits_of_keys_answer_alike_on_both_ways(parts in parts()) {
        are_alike(Kind::Keyed, &stricts(), &parts)?;
    }
}
