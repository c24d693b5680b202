//! Why a call is not let through: found under the lock, told outside of it.

use super::{
    board::Board,
    limit::{Part, limits_of},
    verdict::{Answer, Verdict},
};
use crate::{
    decision::Outcome,
    error::{RateLimited, Reason},
    events,
    limiter::Terms,
    rate::Rate,
};
use std::sync::Arc;

/// Why a call is not let through.
pub(in crate::limiter) struct Refused {
    reason: Reason,
    /// Of the limit that refuses; `None` where all calls are sent away.
    answer: Option<Answer>,
    rate: Option<Rate>,
}

impl Board {
    /// Refuses a call that asked for these parts, and counts that: by the limit that refuses, or by
    /// all of them where none does.
    pub(super) fn refuse(&self, reason: Reason, answer: Option<Answer>, parts: &[Part]) -> Refused {
        let limit = answer.and_then(|answer| self.limits.get(answer.limit));
        match answer.and_then(|answer| self.meters.get(answer.limit)) {
            Some(meters) => meters.refused(reason),
            None => limits_of(parts).for_each(|limit| self.meters[limit].refused(reason)),
        }
        let rate = limit.zip(answer).and_then(|(limit, answer)| limit.rate(answer.decision.rate));
        Refused::new(reason, answer, rate)
    }

    /// The same for a call that would wait in vain.
    pub(super) fn refuse_for_good(&self, verdict: &Verdict, parts: &[Part]) -> Refused {
        self.refuse(verdict.reason(), Some(verdict.binding), parts)
    }
}

impl Refused {
    /// By this limit, if it is one that refuses.
    pub(in crate::limiter) fn new(
        reason: Reason,
        answer: Option<Answer>,
        rate: Option<Rate>,
    ) -> Self {
        Self { reason, answer, rate }
    }

    /// Of a call that was not asked about.
    pub(in crate::limiter) fn unasked(reason: Reason) -> Self {
        Self::new(reason, None, None)
    }

    /// The error of the call; everybody gets to know.
    pub(in crate::limiter) fn tell(self, names: &[Arc<str>], terms: Terms) -> RateLimited {
        let mut refusal = RateLimited::new(self.reason).with_cost(terms.cost);
        if let Some(answer) = self.answer {
            refusal = refusal.with_cost(answer.cost);
            if let Some(name) = names.get(answer.limit) {
                refusal = refusal.with_limit(Arc::clone(name));
            }
            if let Outcome::Later(wait) | Outcome::InUse(Some(wait)) = answer.decision.outcome {
                refusal = refusal.with_retry_after(wait.into());
            }
        }
        if let Some(rate) = self.rate {
            refusal = refusal.with_rate(rate);
        }
        if let Some(max_wait) = terms.patience.longest() {
            refusal = refusal.with_max_wait(max_wait);
        }
        events::refused(&refusal);
        refusal
    }
}
