//! What is written and what is forgotten.

use super::{
    Seam,
    histories::{Turn, for_each_limit, play},
    rate,
};
use crate::algorithms::histories::Pause;
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, Ask, Nanos, Outcome, Strict, Take,
    store::{StoreAsk, StoredLimit},
};

for_each_limit![a_refusal_writes_nothing, a_record_that_equals_new_can_be_forgotten_unnoticed,];

fn a_refusal_writes_nothing<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    play(limit, turns, |moment| {
        let writes = moment.after.shelf.writes - moment.before.shelf.writes;
        let is_nothing = match moment.ask {
            StoreAsk::Ask(Ask::Peek(_)) => true,
            StoreAsk::Ask(Ask::Take(take)) if take.cost == 0 => true,
            StoreAsk::Reserve { cost: 0, .. } => true,
            _ => !moment.answer.is_granted(),
        };
        // Where the time begins with the first call, it is begun once.
        let begins = moment.before.record().is_none()
            && moment.after.record().is_some_and(|(_, new_at)| *new_at == Nanos::MAX);
        prop_assert!(!is_nothing || writes == usize::from(begins), "{:?}", moment.ask);
        prop_assert!(writes <= 1);
        // What equals new is not kept.
        if let Some((record, new_at)) = moment.after.record() {
            prop_assert_eq!(record.new_at(&limit.algorithm), *new_at);
            prop_assert!(writes == 0 || new_at.get() > moment.now);
        }
        Ok(())
    })?;
    Ok(())
}

fn a_record_that_equals_new_can_be_forgotten_unnoticed<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    // The same history in a store that forgets whatever it can, as soon as it can.
    let mut eager = Seam::of(limit);
    play(limit, turns, |moment| {
        eager.shelf.records.retain(|_, (_, new_at)| new_at.get() > moment.now);
        prop_assert_eq!(eager.ask(moment.now, moment.ask), moment.answer);
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_forgotten_key_is_as_new() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    let [_, _] = [(); 2].map(|()| seam.reserve(0, 1).unwrap());
    let answer = seam.ask(1, StoreAsk::Forget);
    assert_eq!(
        answer.decision.outcome,
        Outcome::Granted(tower_ratelimit::Grant { cost: 0, at: Nanos::new(1) })
    );
    assert_eq!((answer.decision.remaining, answer.decision.full_after), (1, Nanos::ZERO));
    assert!(seam.record().is_none());
    assert!(seam.take(1, 1).is_granted());
}

#[test]
fn a_key_is_kept_as_long_as_somebody_is_ahead() {
    let mut seam = Seam::new(Strict::new(rate(1, 10)));
    let [_, second] = [(); 2].map(|()| seam.reserve(0, 1).unwrap());
    seam.give_back(1, second);
    let (record, new_at) = seam.record().unwrap();
    assert_eq!((record.ahead.get(), new_at.get()), (10, 10));
    let peek = StoreAsk::Ask(Ask::Peek(Take::fresh(1)));
    assert!(!seam.ask(9, peek).is_granted());
    assert!(seam.ask(10, peek).is_granted());
}
