//! What a store answers.

use super::{Reserved, Turn};
use crate::{
    decision::{Decision, Outcome},
    nanos::Nanos,
};

/// The answer to an [`Order`](super::Order).
///
/// All spans count from the instant at which the store decided, by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether permits were granted, and how the limit stands.
    pub decision: Decision,
    /// How long until the permits may be used; zero unless they were reserved.
    pub wait: Nanos,
    /// Which reservation they are, if they are to be had later.
    pub turn: Option<Turn>,
}

impl Answer {
    /// The answer at `now` to what was decided as of `at`, which is not before.
    pub(super) fn new(decision: Decision, at: Nanos, now: Nanos) -> Self {
        let wait = at - now;
        let full_after = decision.full_after + wait;
        let outcome = match decision.outcome {
            Outcome::Later(later) => Outcome::Later(later + wait),
            Outcome::InUse(Some(later)) => Outcome::InUse(Some(later + wait)),
            others => others,
        };
        let wait = if decision.is_granted() { wait } else { Nanos::ZERO };
        Self { decision: Decision { outcome, full_after, ..decision }, wait, turn: None }
    }

    /// Whether permits were granted.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.decision.is_granted()
    }

    /// What goes back if they are not used, where they were taken ahead of their time.
    #[must_use]
    pub fn reserved(&self) -> Option<Reserved> {
        Some(Reserved { grant: self.decision.grant()?, turn: self.turn? })
    }
}
