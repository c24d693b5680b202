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
    /// When the first in line comes for whom that depends on the calls in flight, if ever by itself.
    /// Nobody behind it comes earlier.
    in_use_until: Option<Option<Nanos>>,
    /// How much later than need be those in line are let go: all instants here are that much
    /// earlier than they are.
    slack: Nanos,
}

impl<A: Algorithm> Forecast<A> {
    /// Serves calls of these costs one after the other, each as early as it can be.
    pub(super) fn new(
        algorithm: &A,
        state: &A::State,
        now: Nanos,
        slack: Nanos,
        costs: impl Iterator<Item = u32>,
    ) -> Self {
        let mut forecast =
            Self { at: now - slack, after: state.clone(), in_use_until: None, slack };
        for cost in costs {
            forecast.serve(algorithm, now, cost);
        }
        forecast
    }

    /// Serves one more.
    pub(super) fn serve(&mut self, algorithm: &A, now: Nanos, cost: u32) {
        if self.in_use_until.is_some() {
            return;
        }
        self.at = self.at.max(now - self.slack);
        let take = Ask::Take(Take { cost, queued: true });
        let mut decision = algorithm.decide(&mut self.after, self.at, take);
        if let Outcome::Later(wait) = decision.outcome {
            self.at = self.at + wait;
            decision = algorithm.decide(&mut self.after, self.at, take);
        }
        match decision.outcome {
            // It is let go that much later, and counts from then on where calls do.
            Outcome::Granted(grant) if self.slack > Nanos::ZERO => {
                let let_go = self.at + self.slack;
                let _ = algorithm.decide(&mut self.after, let_go, Ask::Renew(grant));
            }
            Outcome::InUse(wait) => self.in_use_until = Some(wait.map(|wait| self.at + wait)),
            Outcome::Granted(_) | Outcome::Later(_) | Outcome::Exhausted | Outcome::Never => {}
        }
    }

    /// When a call would be served that gets in line now, as a decision.
    pub(super) fn turn(&mut self, algorithm: &A, now: Nanos, cost: u32) -> Decision {
        let slack = self.slack;
        let at = self.at.max(now - slack);
        let peek = Ask::Peek(Take { cost, queued: true });
        let decision = algorithm.decide(&mut self.after, at, peek);
        let outcome = match (decision.outcome, self.in_use_until) {
            (refused @ (Outcome::Exhausted | Outcome::Never), _) => refused,
            (_, Some(until)) => Outcome::InUse(until.map(|until| until - now)),
            (Outcome::Granted(_), None) => Outcome::Later(at + slack - now),
            (Outcome::Later(wait), None) => Outcome::Later(at + wait + slack - now),
            (Outcome::InUse(wait), None) => Outcome::InUse(wait.map(|wait| at + wait - now)),
        };
        Decision { outcome, remaining: 0, ..decision }
    }
}
