//! What every algorithm answers, whatever happened before.

use super::{
    ask,
    histories::{History, walk},
    limits::for_each_algorithm,
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::{fmt::Debug, time::Duration};
use tower_ratelimit::{Algorithm, Ask, Nanos, Rate, Strict, Take};

for_each_algorithm![
    a_refusal_changes_nothing,
    a_peek_changes_nothing_and_answers_what_the_take_would,
    a_call_of_cost_zero_passes_and_changes_nothing,
];

fn a_refusal_changes_nothing<A>(algorithm: A, history: History) -> TestCaseResult
where
    A: Algorithm<State: PartialEq + Debug>,
{
    walk(&algorithm, &history, |moment| {
        if !moment.decision.is_granted() {
            // Where the time begins with the first call, it is only begun.
            let mut before = moment.before.clone();
            if before == A::State::default() && super::wait(moment.decision).is_some() {
                let _ = ask(&algorithm, &mut before, moment.now, Ask::Take(moment.take));
                prop_assert_eq!(algorithm.new_at(&before), Nanos::MAX);
                let again = Ask::Peek(moment.take);
                prop_assert_eq!(ask(&algorithm, &mut before, moment.now, again), moment.decision);
            }
            prop_assert_eq!(&before, moment.after);
        }
        Ok(())
    })
}

fn a_peek_changes_nothing_and_answers_what_the_take_would<A>(
    algorithm: A,
    history: History,
) -> TestCaseResult
where
    A: Algorithm<State: PartialEq + Debug>,
{
    walk(&algorithm, &history, |moment| {
        let mut state = moment.before.clone();
        let peek = ask(&algorithm, &mut state, moment.now, Ask::Peek(moment.take));
        prop_assert_eq!(peek, moment.decision);
        prop_assert_eq!(&state, moment.before);
        Ok(())
    })
}

fn a_call_of_cost_zero_passes_and_changes_nothing<A>(
    algorithm: A,
    history: History,
) -> TestCaseResult
where
    A: Algorithm<State: PartialEq + Debug>,
{
    walk(&algorithm, &history, |moment| {
        for queued in [false, true] {
            let mut state = moment.after.clone();
            let nothing = Take { cost: 0, queued };
            let decision = ask(&algorithm, &mut state, moment.now, Ask::Take(nothing));
            let grant = decision.grant();
            prop_assert_eq!(grant.map(|grant| (grant.cost, grant.at.get())), Some((0, moment.now)));
            prop_assert_eq!(&state, moment.after);
            let _ = ask(&algorithm, &mut state, moment.now, Ask::GiveBack(grant.unwrap()));
            prop_assert_eq!(&state, moment.after);
        }
        Ok(())
    })
}

#[test]
fn a_decision_says_how_long_until_the_same_ask_is_granted() {
    let strict = Strict::new(Rate::per_day(1).unwrap());
    let mut next = Default::default();
    let decide = |next: &mut _, cost| ask(&strict, next, 0, Ask::Take(Take::fresh(cost)));
    let granted = decide(&mut next, 1);
    assert!(granted.is_granted());
    assert!(granted.grant().is_some());
    assert_eq!(granted.retry_after(), Some(Duration::ZERO));
    let later = decide(&mut next, 1);
    assert!(!later.is_granted());
    assert_eq!(later.grant(), None);
    assert_eq!(later.retry_after(), Some(Duration::from_secs(86_400)));
    let never = decide(&mut next, u32::MAX);
    assert!(!never.is_granted());
    assert_eq!(never.grant(), None);
    assert_eq!(never.retry_after(), None);
}
