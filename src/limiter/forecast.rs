//! Looking ahead: when those in line will be served.

use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Outcome, Take},
    nanos::Nanos,
};

/// The state once a whole line has been served, and when that is.
pub(super) struct Forecast<A: Algorithm> {
    at: Nanos,
    after: A::State,
}

impl<A: Algorithm> Forecast<A> {
    /// Serves calls of these costs one after the other, each as early as it can be.
    pub(super) fn new(
        algorithm: &A,
        state: &A::State,
        now: Nanos,
        costs: impl Iterator<Item = u32>,
    ) -> Self {
        let mut forecast = Self { at: now, after: state.clone() };
        for cost in costs {
            forecast.serve(algorithm, now, cost);
        }
        forecast
    }

    /// Serves one more.
    pub(super) fn serve(&mut self, algorithm: &A, now: Nanos, cost: u32) {
        self.at = self.at.max(now);
        let take = Ask::Take(Take { cost, queued: true });
        if let Outcome::Later(wait) = algorithm.decide(&mut self.after, self.at, take).outcome {
            self.at = self.at + wait;
            let _ = algorithm.decide(&mut self.after, self.at, take);
        }
    }

    /// When a call would be served that gets in line now, as a decision.
    pub(super) fn turn(&mut self, algorithm: &A, now: Nanos, cost: u32) -> Decision {
        let at = self.at.max(now);
        let peek = Ask::Peek(Take { cost, queued: true });
        let decision = algorithm.decide(&mut self.after, at, peek);
        let outcome = match decision.outcome {
            Outcome::Granted(_) => Outcome::Later(at - now),
            Outcome::Later(wait) => Outcome::Later(at + wait - now),
            refused => refused,
        };
        Decision { outcome, remaining: 0, ..decision }
    }
}
