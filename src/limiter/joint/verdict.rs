//! What the answers of several limits come to.

use super::limit::Part;
use crate::{
    decision::{Decision, Grant, Outcome},
    error::Reason,
    limiter::{Patience, Terms},
    nanos::Nanos,
};

/// What one limit answered.
#[derive(Clone, Copy, Debug)]
pub(in crate::limiter) struct Answer {
    /// Which of the limits, counted from zero.
    pub(in crate::limiter) limit: usize,
    /// How many permits were asked of it.
    pub(in crate::limiter) cost: u32,
    pub(in crate::limiter) decision: Decision,
}

/// What all limits together answered, in the name of the binding one.
#[derive(Clone, Copy, Debug)]
pub(in crate::limiter) struct Verdict {
    /// Of those that refuse: the first that does so for good, else one of which nobody knows how
    /// long it will, else the one with the longest wait. Of those that grant: the one with the
    /// least share left. The wait is that of all.
    pub(in crate::limiter) binding: Answer,
    /// The one with the longest wait that is certain, if there is such a wait.
    certain: Option<(Nanos, Answer)>,
    /// Whether permits are in use, so that the wait depends on other calls, too.
    in_use: bool,
}

impl Verdict {
    pub(super) fn new(answers: impl IntoIterator<Item = (Part, Decision)>) -> Self {
        Self::of(answers.into_iter().map(|(part, decision)| Answer {
            limit: part.lane.limit,
            cost: part.cost,
            decision,
        }))
    }

    /// A call that asks for nothing is granted nothing.
    pub(in crate::limiter) fn of(answers: impl IntoIterator<Item = Answer>) -> Self {
        let outcome = Outcome::Granted(Grant { cost: 0, at: Nanos::ZERO });
        let decision = Decision {
            outcome,
            limit: u32::MAX,
            remaining: u32::MAX,
            full_after: Nanos::ZERO,
            rate: 0,
        };
        let nothing = Answer { limit: usize::MAX, cost: 0, decision };
        let mut verdict = Self { binding: nothing, certain: None, in_use: false };
        answers.into_iter().for_each(|answer| verdict.add(answer));
        verdict.settle()
    }

    fn add(&mut self, answer: Answer) {
        let decision = answer.decision;
        if let Outcome::Later(wait) = decision.outcome
            && self.certain.is_none_or(|(longest, _)| wait > longest)
        {
            self.certain = Some((wait, answer));
        }
        self.in_use |= matches!(decision.outcome, Outcome::InUse(_));
        let binds = match (weight(self.binding.decision.outcome), weight(decision.outcome)) {
            (Weight::Granted, Weight::Granted) => has_less(&decision, &self.binding.decision),
            (before, this) => this > before,
        };
        if binds || self.binding.limit == usize::MAX {
            self.binding = answer;
        }
    }

    /// Says so when the longest wait depends on calls that another limit waits for.
    fn settle(mut self) -> Self {
        if let Outcome::Later(wait) = self.binding.decision.outcome
            && self.in_use
        {
            self.binding.decision.outcome = Outcome::InUse(Some(wait));
        }
        self
    }

    /// The same for a call that gets in line, where it is let go this much later.
    pub(in crate::limiter) fn later_by(mut self, slack: Nanos) -> Self {
        self.binding.decision = self.binding.decision.later_by(slack);
        self.certain = self.certain.map(|(wait, mut answer)| {
            answer.decision = answer.decision.later_by(slack);
            (wait + slack, answer)
        });
        self
    }

    pub(in crate::limiter) fn outcome(&self) -> Outcome {
        self.binding.decision.outcome
    }

    /// How long it is in any case until all of them grant.
    pub(in crate::limiter) fn certain_wait(&self) -> Nanos {
        self.certain.map_or(Nanos::ZERO, |(wait, _)| wait)
    }

    /// Why a call is refused that does not wait.
    pub(in crate::limiter) fn reason(&self) -> Reason {
        match self.outcome() {
            Outcome::Exhausted => Reason::Exhausted,
            Outcome::Never => Reason::TooCostly,
            _ => Reason::UsedUp,
        }
    }

    /// Whether waiting is in vain.
    pub(in crate::limiter) fn is_for_good(&self) -> bool {
        matches!(self.outcome(), Outcome::Never | Outcome::Exhausted)
    }

    /// The refusal of a call that would rather be refused than wait as long as it would have to.
    pub(in crate::limiter) fn refuses(&self, terms: Terms) -> Option<Answer> {
        match (self.outcome(), terms.patience) {
            (Outcome::Granted(_), _) => None,
            (_, Patience::Now) => Some(self.binding),
            // What depends on other calls is waited for up to a time-out; what is certain is known.
            (_, Patience::MaxWait(max_wait)) => match self.certain {
                Some((wait, answer)) if wait > max_wait.into() => match self.in_use {
                    true => Some(answer),
                    false => Some(self.binding),
                },
                _ => None,
            },
            (_, Patience::Timeout(_) | Patience::Forever) => None,
        }
    }

    /// That of a call which stands in line so long, because of this limit. Where that is not all, as
    /// those before it wait for calls to end, the wait is not `known`.
    pub(in crate::limiter) fn in_line(answer: Answer, wait: Nanos, known: bool) -> Self {
        let with = |outcome| {
            let decision = Decision { outcome, remaining: 0, ..answer.decision };
            Answer { decision, ..answer }
        };
        let certain = with(Outcome::Later(wait));
        let binding = if known { certain } else { with(Outcome::InUse(None)) };
        Self { binding, certain: Some((wait, certain)), in_use: !known }
    }

    /// That of a call which stands in line so long, and is answered so then.
    pub(in crate::limiter) fn after(self, delay: Nanos) -> Self {
        let Outcome::InUse(hint) = self.outcome() else {
            return self;
        };
        let wait = self.certain.map_or(Nanos::ZERO, |(wait, _)| wait) + delay;
        let answer = self.certain.map_or(self.binding, |(_, answer)| answer);
        let mut verdict = Self::in_line(answer, wait, false);
        let outcome = Outcome::InUse(hint.map(|hint| hint + delay));
        let decision = Decision { outcome, remaining: 0, ..self.binding.decision };
        verdict.binding = Answer { decision, ..self.binding };
        verdict
    }
}

/// In growing order, which refusal binds. The first of two alike does.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Granted,
    Wait(Nanos),
    Unknown,
    ForGood,
}

fn weight(outcome: Outcome) -> Weight {
    match outcome {
        Outcome::Granted(_) => Weight::Granted,
        Outcome::Later(wait) | Outcome::InUse(Some(wait)) => Weight::Wait(wait),
        Outcome::InUse(None) => Weight::Unknown,
        Outcome::Exhausted | Outcome::Never => Weight::ForGood,
    }
}

/// Whether a smaller share is left of the first limit than of the second.
fn has_less(first: &Decision, second: &Decision) -> bool {
    let share = |of: &Decision, by: &Decision| u64::from(of.remaining) * u64::from(by.limit);
    share(first, second) < share(second, first)
}
