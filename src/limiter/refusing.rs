//! What a call is told that is refused.

use super::{Patience, Terms, shared::Shared};
use crate::{
    algorithm::Algorithm,
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    events,
    nanos::Nanos,
    rate::Rate,
    store::table::Fingerprint,
};

impl<A: Algorithm> Shared<A> {
    /// What a refusal means for a call on these terms.
    pub(super) fn if_it_waits(&self, decision: Decision, terms: Terms) -> Decision {
        decision.later_by(self.slack(terms))
    }

    /// How much later than need be a call on these terms is let go if it waits.
    fn slack(&self, terms: Terms) -> Nanos {
        match terms.patience {
            Patience::Now => Nanos::ZERO,
            _ => self.settings.slack.into(),
        }
    }

    /// The error for a call that found the bucket full for so long. It says how full, so that nobody has to
    /// look again.
    #[inline(always)]
    pub(super) fn refuse(&self, key: Fingerprint, wait: Nanos, terms: Terms) -> RateLimited {
        let outcome = Outcome::Later(wait + self.slack(terms));
        let refusal = self.refusal(Reason::UsedUp, outcome, self.short_way.rate(), terms);
        match self.short_way.bucket() {
            Some(bucket) => {
                let full_after = bucket.filled_before(wait, terms.cost);
                refusal.with_full_after(self.number_of(key), full_after)
            }
            None => refusal,
        }
    }

    /// By which a refusal is known to be that of this limiter and this key: no other has it, but by a chance of
    /// one in 2^64.
    pub(super) fn number_of(&self, key: Fingerprint) -> u64 {
        std::ptr::from_ref(self).addr() as u64 ^ key.get()
    }

    /// The error for a call that was not let through.
    #[inline(always)]
    pub(super) fn refusal(
        &self,
        reason: Reason,
        outcome: Outcome,
        rate: Option<Rate>,
        terms: Terms,
    ) -> RateLimited {
        let mut refusal = terms.refusal(reason, self.settings.name.as_ref());
        if let Some(rate) = rate {
            refusal = refusal.with_rate(rate);
        }
        if let Outcome::Later(wait) | Outcome::InUse(Some(wait)) = outcome {
            refusal = refusal.with_retry_after(wait.into());
        }
        self.refused(refusal)
    }

    /// The same where the rate is not at hand, or no algorithm was asked.
    pub(super) fn refusal_in_line(
        &self,
        key: Fingerprint,
        reason: Reason,
        decision: Option<Decision>,
        terms: Terms,
    ) -> RateLimited {
        match decision {
            Some(decision) => {
                let rate = self.lanes.algorithm_of(key).rate(decision.rate);
                self.refusal(reason, decision.outcome, rate, terms)
            }
            None => self.refused(terms.refusal(reason, self.settings.name.as_ref())),
        }
    }

    /// Lets everybody know of a refusal.
    #[inline(always)]
    fn refused(&self, refusal: RateLimited) -> RateLimited {
        self.meters.refused(refusal.reason());
        events::refused(&refusal);
        refusal
    }
}
