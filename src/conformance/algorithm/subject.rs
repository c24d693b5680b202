//! The algorithm that is looked at, and whether two of its states are the same.

use super::history::period;
use crate::{
    algorithm::Algorithm,
    conformance::{
        Point,
        violation::{Broken, Checked},
    },
    decision::{Ask, Decision, Outcome, Take},
    nanos::Nanos,
};
use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub(super) struct Subject<'a, A> {
    pub(super) algorithm: &'a A,
    /// What was asked last, should it panic.
    last: Cell<(Nanos, Option<Ask>)>,
}

impl<'a, A: Algorithm> Subject<'a, A> {
    pub(super) fn new(algorithm: &'a A) -> Self {
        Self { algorithm, last: Cell::new((Nanos::ZERO, None)) }
    }

    pub(super) fn ask(&self, state: &mut A::State, now: u64, ask: Ask) -> Decision {
        let now = Nanos::new(now);
        self.last.set((now, Some(ask)));
        self.algorithm.decide(state, now, ask)
    }

    /// The answer of a state that stays as it is.
    pub(super) fn look(&self, state: &A::State, now: u64, ask: Ask) -> Decision {
        self.ask(&mut state.clone(), now, ask)
    }

    pub(super) fn passes(&self, state: &A::State, now: u64, take: Take) -> bool {
        self.look(state, now, Ask::Take(take)).is_granted()
    }

    /// How many calls of cost 1 pass one after another at this instant, of at most this many.
    pub(super) fn passing(&self, state: &A::State, now: u64, most: u32) -> u32 {
        let mut state = state.clone();
        let mut passes =
            |_: &u32| self.ask(&mut state, now, Ask::Take(Take::fresh(1))).is_granted();
        // At most `most`, which is a u32.
        (0..most).take_while(&mut passes).count() as u32
    }

    /// What shows that these states are not the same from this instant on, if they are not.
    ///
    /// A state need not be comparable, and two that are written differently may mean the same. So
    /// both are asked the same questions, which also are about what comes of them.
    pub(super) fn difference(
        &self,
        [one, other]: [&A::State; 2],
        from: u64,
        queued: bool,
    ) -> Option<String> {
        let mut states = [one.clone(), other.clone()];
        let interval = self.algorithm.interval().get();
        let (mut now, mut wait, mut used) = (from, 0_u64, queued);
        for round in 0..7 {
            let pause = match round {
                0 => 0,
                1 => wait.saturating_sub(1),
                2 | 5 => 1,
                3 => interval.saturating_sub(1),
                4 => wait,
                _ => period(self.algorithm, 0),
            };
            now = now.saturating_add(pause);
            let line = Take { cost: 1, queued: used };
            let asks = [
                Ask::Peek(Take::fresh(0)),
                Ask::Peek(Take::fresh(2)),
                Ask::Peek(line),
                Ask::Take(Take::fresh(1)),
            ];
            for ask in asks {
                let [one, other] = states.each_mut().map(|state| self.ask(state, now, ask));
                if one != other {
                    return Some(format!("{ask:?} at {now} ns: {other:?}, and not {one:?}"));
                }
                used |= matches!(ask, Ask::Take(_)) && one.is_granted();
                wait = match one.outcome {
                    Outcome::Later(wait) | Outcome::InUse(Some(wait)) => wait.get(),
                    _ => 0,
                };
            }
        }
        None
    }

    /// Broken, when these states are not the same from this instant on.
    pub(super) fn same(
        &self,
        states: [&A::State; 2],
        from: u64,
        queued: bool,
        point: Point,
    ) -> Checked {
        match self.difference(states, from, queued) {
            Some(difference) => Err(Broken::new(point, difference)),
            None => Ok(()),
        }
    }

    /// How the algorithm panicked, and when.
    pub(super) fn panicked(&self, message: &str) -> Broken {
        let (now, ask) = self.last.get();
        let found = format!("{message:?}, at or after {ask:?} at {} ns", now.get());
        Broken::new(Point::Panic, found)
    }
}

/// Does it; when the algorithm panics, what it says. The kit itself does not.
pub(super) fn caught(work: impl FnOnce() -> Checked) -> Result<Checked, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message(&*panic).to_owned())
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}
