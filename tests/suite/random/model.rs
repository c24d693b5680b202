//! What a limiter does whose callers all look at once, in as few words as possible: a list of those
//! who wait, a list of what was granted and not used, and the arithmetic.

use super::Waits;
use std::collections::{BTreeMap, VecDeque};
use tower_ratelimit::{Algorithm, Ask, Grant, Nanos, Outcome, Reason, Take, algorithm::Permits};

/// Callers in the order in which they asked.
pub(super) type Caller = usize;

/// What becomes of a call that asks, or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Granted(Grant),
    /// With the `retry_after`.
    Refused(Reason, Option<Nanos>),
    Waits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Working,
    Open,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    caller: Caller,
    cost: u32,
    deadline: Nanos,
    uses_at_once: bool,
}

/// Takes nothing, and does not perish.
const FREE: Grant = Grant { cost: 0, at: Nanos::MAX };

pub(super) struct Model<A: Algorithm> {
    pub(super) now: Nanos,
    state: A::State,
    gate: Gate,
    line: VecDeque<Waiter>,
    /// In the order of the grants.
    unused: VecDeque<(Caller, Grant)>,
    /// Of those who wait, as far as it is known.
    fates: BTreeMap<Caller, (Waiter, Fate)>,
}

impl<A: Algorithm> Model<A> {
    pub(super) fn new() -> Self {
        Self {
            now: Nanos::ZERO,
            state: A::State::default(),
            gate: Gate::Working,
            line: VecDeque::new(),
            unused: VecDeque::new(),
            fates: BTreeMap::new(),
        }
    }

    fn decide(&mut self, algorithm: &A, ask: Ask) -> Outcome {
        algorithm.decide(&mut self.state, self.now, ask).outcome
    }

    fn perishes(algorithm: &A, grant: Grant) -> Nanos {
        grant.at + algorithm.shelf_life()
    }

    fn give_back(&mut self, algorithm: &A, caller: Caller) {
        if let Some(index) = self.unused.iter().position(|(other, _)| *other == caller) {
            let (_, grant) = self.unused.remove(index).unwrap();
            self.decide(algorithm, Ask::GiveBack(grant));
        }
    }

    /// What has perished goes back, the oldest first; then whoever is due is let go.
    pub(super) fn serve(&mut self, algorithm: &A) {
        while let Some((caller, grant)) = self.unused.front().copied()
            && self.now >= Self::perishes(algorithm, grant)
        {
            self.give_back(algorithm, caller);
        }
        while let Some(first) = self.line.front().copied() {
            let fate = match self.decide(algorithm, Ask::Take(Take::queued(first.cost))) {
                Outcome::Granted(grant) => {
                    self.unused.push_back((first.caller, grant));
                    Fate::Granted(grant)
                }
                Outcome::Never => Fate::Refused(Reason::TooCostly, None),
                _ => return,
            };
            self.line.pop_front();
            self.fates.insert(first.caller, (first, fate));
        }
    }

    /// When a call would be served behind all who wait, if that can be said: by serving them.
    fn turn(&self, algorithm: &A, cost: u32) -> Outcome {
        let (mut state, mut at) = (self.state.clone(), self.now);
        let in_use = |at, hint: Option<_>| Outcome::InUse(hint.map(|wait| at + wait - self.now));
        let peek = Ask::Peek(Take::fresh(cost));
        if algorithm.decide(&mut state, at, peek).outcome == Outcome::Never {
            // More than a capacity that has shrunk meanwhile.
            return Outcome::Never;
        }
        for waiter in &self.line {
            let take = Ask::Take(Take::queued(waiter.cost));
            match algorithm.decide(&mut state, at, take).outcome {
                Outcome::Later(wait) => {
                    at = at + wait;
                    let _ = algorithm.decide(&mut state, at, take);
                }
                // Those behind come later than it, whenever that is.
                Outcome::InUse(wait) => return in_use(at, wait),
                _ => {}
            }
        }
        match algorithm.decide(&mut state, at, Ask::Peek(Take::queued(cost))).outcome {
            Outcome::Granted(_) => Outcome::Later(at - self.now),
            Outcome::Later(wait) => Outcome::Later(at + wait - self.now),
            Outcome::InUse(wait) => in_use(at, wait),
            other => other,
        }
    }

    pub(super) fn ask(
        &mut self,
        algorithm: &A,
        caller: Caller,
        cost: u32,
        waits: Waits,
        uses_at_once: bool,
    ) -> Fate {
        if self.gate == Gate::Open || cost == 0 {
            return Fate::Granted(Grant { cost: 0, at: self.now });
        }
        self.serve(algorithm);
        let outcome = match self.line.is_empty() {
            true => self.decide(algorithm, Ask::Take(Take::fresh(cost))),
            false => match self.decide(algorithm, Ask::Peek(Take::fresh(cost))) {
                Outcome::Never => Outcome::Never,
                _ => self.turn(algorithm, cost),
            },
        };
        let used_up = |wait| Fate::Refused(Reason::UsedUp, wait);
        let longest = match waits {
            Waits::Not => None,
            Waits::AtMost(most) | Waits::Until(most) => Some(Nanos::from(super::ms(most))),
            Waits::Forever => Some(Nanos::MAX),
        };
        match outcome {
            Outcome::Granted(grant) => {
                if !uses_at_once {
                    self.unused.push_back((caller, grant));
                }
                return Fate::Granted(grant);
            }
            Outcome::Never => return Fate::Refused(Reason::TooCostly, None),
            Outcome::Later(wait) if longest.is_none() => return used_up(Some(wait)),
            Outcome::InUse(wait) if longest.is_none() => return used_up(wait),
            Outcome::Later(wait) => {
                if let Waits::AtMost(most) = waits
                    && wait > Nanos::from(super::ms(most))
                {
                    return used_up(Some(wait));
                }
            }
            _ => {}
        }
        // A maximum wait that was accepted is kept to, where it can be known.
        let deadline = match waits {
            Waits::AtMost(_) if !A::Permits::HELD => Nanos::MAX,
            _ => self.now + longest.unwrap_or_default(),
        };
        self.line.push_back(Waiter { caller, cost, deadline, uses_at_once });
        Fate::Waits
    }

    /// All who wait look, in order: what they find.
    pub(super) fn look(&mut self, algorithm: &A) -> Vec<(Caller, Fate)> {
        self.serve(algorithm);
        let waiting = self.line.iter().map(|waiter| waiter.caller);
        let mut callers: Vec<Caller> = self.fates.keys().copied().chain(waiting).collect();
        callers.sort_unstable();
        callers.into_iter().map(|caller| (caller, self.look_one(algorithm, caller))).collect()
    }

    fn look_one(&mut self, algorithm: &A, caller: Caller) -> Fate {
        let Some((waiter, fate)) = self.fates.remove(&caller) else {
            let index = self.line.iter().position(|waiter| waiter.caller == caller).unwrap();
            if self.line[index].deadline > self.now {
                return Fate::Waits;
            }
            let cost = self.line[index].cost;
            let behind = self.line.split_off(index);
            let wait = match self.turn(algorithm, cost) {
                Outcome::Later(wait) | Outcome::InUse(Some(wait)) => Some(wait),
                _ => None,
            };
            self.line.extend(behind.into_iter().skip(1));
            self.serve(algorithm);
            // Those behind it look when their time comes.
            return Fate::Refused(Reason::UsedUp, wait);
        };
        match fate {
            Fate::Granted(grant) if waiter.uses_at_once => {
                self.unused.retain(|(other, _)| *other != caller);
                Fate::Granted(self.renew(algorithm, grant).unwrap())
            }
            other => other,
        }
    }

    fn renew(&mut self, algorithm: &A, grant: Grant) -> Option<Grant> {
        if grant.cost == 0 {
            return Some(Grant { cost: 0, at: self.now });
        }
        match self.decide(algorithm, Ask::Renew(grant)) {
            Outcome::Granted(grant) => Some(grant),
            _ => None,
        }
    }

    /// Whether it has permits that it did not use yet.
    pub(super) fn is_unused(&self, caller: Caller) -> bool {
        self.unused.iter().any(|(other, _)| *other == caller)
    }

    pub(super) fn drop_waiter(&mut self, algorithm: &A, caller: Caller) {
        self.line.retain(|waiter| waiter.caller != caller);
        self.serve(algorithm);
    }

    /// A reservation that is used: the permit, if it had not perished.
    pub(super) fn commit(&mut self, algorithm: &A, caller: Caller) -> Option<Grant> {
        let (_, grant) = self.unused.iter().copied().find(|(other, _)| *other == caller)?;
        if self.now >= Self::perishes(algorithm, grant) {
            self.drop_reservation(algorithm, caller);
            return None;
        }
        self.unused.retain(|(other, _)| *other != caller);
        self.renew(algorithm, grant)
    }

    pub(super) fn drop_reservation(&mut self, algorithm: &A, caller: Caller) {
        self.give_back(algorithm, caller);
        self.serve(algorithm);
    }

    /// What is told about permits that were used.
    pub(super) fn settle(&mut self, algorithm: &A, ask: Ask) -> Outcome {
        let outcome = self.decide(algorithm, ask);
        self.serve(algorithm);
        outcome
    }

    pub(super) fn send_away(&mut self) {
        let fate = Fate::Refused(Reason::Cancelled, None);
        self.fates.extend(self.line.drain(..).map(|waiter| (waiter.caller, (waiter, fate))));
    }

    pub(super) fn breach(&mut self) {
        self.gate = Gate::Open;
        for waiter in self.line.drain(..) {
            self.fates.insert(waiter.caller, (waiter, Fate::Granted(FREE)));
            self.unused.push_back((waiter.caller, FREE));
        }
    }

    pub(super) fn reset(&mut self) {
        self.gate = Gate::Working;
        self.send_away();
        self.unused.clear();
        self.state = A::State::default();
    }

    pub(super) fn set(&mut self, before: &A, after: &A) {
        after.carry_over(before, &mut self.state, self.now);
        self.serve(after);
    }

    /// Whoever stands first in line, and would be let go.
    pub(super) fn waits_in_vain(&mut self, algorithm: &A) -> bool {
        let now = self.now;
        self.line.front().is_some_and(|first| {
            let take = Ask::Take(Take::queued(first.cost));
            algorithm.decide(&mut self.state.clone(), now, take).grant().is_some()
        })
    }
}
