//! Reservations are a line: nobody overtakes, and whoever is refused is told the truth.

use super::{
    histories::{Call, Moment, Turn, for_each_limit, play},
    wait,
};
use crate::algorithms::histories::Pause;
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, Ask, Nanos, Outcome, Take,
    store::{StoreAsk, StoredLimit},
};

for_each_limit![
    nobody_comes_before_those_who_came_earlier_but_in_a_slot_that_went_back,
    nobody_takes_while_others_are_ahead,
    a_refusal_names_the_exact_wait,
    a_reservation_comes_when_a_refusal_says_so,
    a_line_is_let_go_as_if_everybody_stood_there_and_asked_in_turn,
];

fn is_granted_reservation<A: Algorithm>(moment: &Moment<'_, A>) -> Option<u64> {
    let is_reserve = matches!(moment.ask, StoreAsk::Reserve { cost: 1.., .. });
    let granted = moment.answer.is_granted() && is_reserve;
    granted.then(|| moment.now + moment.answer.wait.get())
}

fn nobody_comes_before_those_who_came_earlier_but_in_a_slot_that_went_back<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    let mut gone_back: Vec<u64> = Vec::new();
    play(limit, turns, |moment| {
        if let Some(at) = is_granted_reservation(&moment)
            && at < moment.ahead
        {
            let slot = gone_back.iter().position(|slot| *slot == at);
            prop_assert!(slot.is_some(), "at {}, others at {}", at, moment.ahead);
            gone_back.remove(slot.unwrap());
        }
        if let StoreAsk::Return(grant) = moment.ask {
            gone_back.push(grant.at.get());
        }
        Ok(())
    })?;
    Ok(())
}

fn nobody_takes_while_others_are_ahead<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    play(limit, turns, |moment| {
        let is_ahead = |call: &Call| call.reserved && call.at > moment.now;
        if let StoreAsk::Ask(Ask::Take(take)) = moment.ask
            && take.cost > 0
            && moment.calls.iter().any(is_ahead)
        {
            prop_assert!(!moment.answer.is_granted());
            prop_assert_eq!(moment.answer.decision.remaining, 0);
        }
        Ok(())
    })?;
    Ok(())
}

fn a_refusal_names_the_exact_wait<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    play(limit, turns, |moment| {
        let take = match moment.ask {
            StoreAsk::Ask(Ask::Take(take) | Ask::Peek(take)) => take,
            _ => return Ok(()),
        };
        let Some(wait) = wait(moment.answer) else {
            return Ok(());
        };
        // A peek does not begin the time that begins with the first call.
        if moment.before.record().is_none() && matches!(moment.ask, StoreAsk::Ask(Ask::Peek(_))) {
            return Ok(());
        }
        let is_granted_after = |pause: u64| {
            let then = moment.now + pause;
            moment.after.clone().ask(then, StoreAsk::Ask(Ask::Take(take))).is_granted()
        };
        prop_assert!(wait > 0);
        for early in [0, wait / 3, wait / 2, wait - 1] {
            prop_assert!(!is_granted_after(early), "{} of {} ns", early, wait);
        }
        let interval = limit.algorithm.interval().get();
        for late in [0, 1, interval - 1, interval, interval * 7] {
            prop_assert!(is_granted_after(wait + late), "{} ns after {}", late, wait);
        }
        Ok(())
    })?;
    Ok(())
}

fn a_reservation_comes_when_a_refusal_says_so<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    play(limit, turns, |moment| {
        let StoreAsk::Reserve { cost: cost @ 1.., max_wait } = moment.ask else {
            return Ok(());
        };
        let within =
            |max_wait: Nanos| moment.before.clone().reserve_within(moment.now, cost, max_wait);
        match moment.answer.decision.outcome {
            Outcome::Granted(grant) => {
                prop_assert!(moment.answer.wait <= max_wait);
                prop_assert_eq!(grant.cost, cost);
                let (at, wait) = (moment.now + moment.answer.wait.get(), moment.answer.wait.get());
                // An immediate one may be of a log that says so itself.
                prop_assert!(wait == 0 || grant.at.get() == at);
                prop_assert_eq!(within(moment.answer.wait), moment.answer);
                if let Some(less) = wait.checked_sub(1) {
                    let refused = within(Nanos::new(less));
                    prop_assert_eq!(super::wait(refused), Some(wait));
                }
            }
            Outcome::Later(wait) => {
                prop_assert!(wait > max_wait);
                let granted = within(wait);
                prop_assert!(granted.is_granted());
                prop_assert_eq!(granted.wait, wait);
            }
            Outcome::InUse(_) | Outcome::Exhausted | Outcome::Never => {
                prop_assert_eq!(within(Nanos::MAX), moment.answer);
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// The oracle: those in line, one after the other, ask a limit in memory when it is their turn, and
/// again whenever they were told to.
struct Queue<'a, A: Algorithm> {
    limit: &'a A,
    state: A::State,
    /// When the last of them was let go.
    last: u64,
}

impl<A: Algorithm> Queue<'_, A> {
    /// When the next one is let go that comes at `now`, if ever.
    fn let_go(&mut self, now: u64, cost: u32) -> Option<u64> {
        let mut then = now.max(self.last);
        loop {
            let queued = then > now;
            let take = Ask::Take(Take { cost, queued });
            let decision = self.limit.decide(&mut self.state, Nanos::new(then), take);
            match decision.outcome {
                Outcome::Granted(_) => break,
                Outcome::Later(wait) => then = then.checked_add(wait.get())?,
                Outcome::InUse(_) | Outcome::Exhausted | Outcome::Never => return None,
            }
        }
        self.last = then;
        Some(then)
    }
}

fn a_line_is_let_go_as_if_everybody_stood_there_and_asked_in_turn<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
) -> TestCaseResult {
    let nothing_goes_back = |(_, turn): &&(Pause, Turn)| {
        matches!(turn, Turn::Take(_) | Turn::Peek(_) | Turn::Reserve { .. } | Turn::Charge(_))
    };
    let turns: Vec<_> = turns.iter().filter(nothing_goes_back).copied().collect();
    let algorithm = &limit.algorithm;
    let mut queue = Queue { limit: algorithm, state: A::State::default(), last: 0 };
    play(limit, &turns, |moment| {
        let now = moment.now;
        let (cost, latest, take) = match moment.ask {
            StoreAsk::Ask(Ask::Charge(_)) => {
                let at = Nanos::new(now.max(queue.last));
                let StoreAsk::Ask(ask) = moment.ask else { return Ok(()) };
                let _ = algorithm.decide(&mut queue.state, at, ask);
                return Ok(());
            }
            StoreAsk::Ask(Ask::Take(take)) => (take.cost, Some(now), take),
            StoreAsk::Ask(Ask::Peek(take)) => (take.cost, None, take),
            StoreAsk::Reserve { cost, max_wait } => {
                (cost, Some(now.saturating_add(max_wait.get())), Take::fresh(cost))
            }
            _ => return Ok(()),
        };
        if cost == 0 {
            prop_assert!(moment.answer.is_granted());
            return Ok(());
        }
        let mut then = Queue { state: queue.state.clone(), ..queue };
        let mut take = take;
        if queue.last <= now && algorithm.new_at(&then.state).get() <= now {
            // It is as if this were the first call, and nobody stood in line before it.
            then.state = A::State::default();
            take.queued = false;
        }
        // A take that is granted at once comes as it says.
        let at = match queue.last <= now {
            true => {
                let ask = Ask::Take(take);
                let decision = algorithm.decide(&mut then.state, Nanos::new(now), ask);
                match decision.is_granted() {
                    true => {
                        then.last = now;
                        Some(now)
                    }
                    false => then.let_go(now, cost),
                }
            }
            false => then.let_go(now, cost),
        };
        let granted = at.filter(|at| latest.is_some_and(|latest| *at <= latest));
        match (granted, at, moment.answer.decision.outcome) {
            (Some(at), _, outcome) => {
                prop_assert!(moment.answer.is_granted(), "{:?}, not at {}", outcome, at);
                prop_assert_eq!(now + moment.answer.wait.get(), at);
                let Queue { state, last, .. } = then;
                (queue.state, queue.last) = (state, last);
            }
            (None, Some(at), Outcome::Granted(_)) => {
                // A peek at what can be had now.
                prop_assert!(latest.is_none() && at == now);
            }
            (None, Some(at), outcome) => {
                prop_assert_eq!(outcome, Outcome::Later(Nanos::new(at - now)));
                // Being refused begins the time that begins with the first call.
                if latest.is_some() && queue.last <= now {
                    let _ = algorithm.decide(&mut queue.state, Nanos::new(now), Ask::Take(take));
                }
            }
            (None, None, outcome) => {
                prop_assert!(!matches!(outcome, Outcome::Granted(_)), "{:?}", outcome);
            }
        }
        Ok(())
    })?;
    Ok(())
}
