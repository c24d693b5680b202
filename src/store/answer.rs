//! What a store answers.

use crate::{
    decision::{Decision, Grant, Outcome},
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
}

impl Answer {
    /// The answer at `now` to what was decided as of `at`, which may be later.
    pub(super) fn new(decision: Decision, at: Nanos, now: Nanos) -> Self {
        let until = at - now;
        let outcome = match decision.outcome {
            Outcome::Later(later) => Outcome::Later(later + until),
            Outcome::InUse(Some(later)) => Outcome::InUse(Some(later + until)),
            others => others,
        };
        let full_after = decision.full_after + until;
        Self { decision: Decision { outcome, full_after, ..decision }, wait: Nanos::ZERO }
    }

    /// Returns whether permits were granted.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.decision.is_granted()
    }

    /// Returns what [goes back](super::StoreAsk::Return) if it is not used, where it was taken
    /// ahead of its time.
    #[must_use]
    pub fn reserved(&self) -> Option<Grant> {
        self.decision.grant().filter(|_| self.wait > Nanos::ZERO)
    }
}
