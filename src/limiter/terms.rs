//! What a call asks for, and how long it would wait for it.

use crate::{
    decision::Outcome,
    error::{RateLimited, Reason},
    nanos::Nanos,
};
use std::{sync::Arc, time::Duration};

/// The terms on which a call asks for permits: how many, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How many permits. A call of cost 0 passes and takes nothing.
    pub cost: u32,
    /// How long it waits for them.
    pub patience: Patience,
}

/// How long a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: it is refused when it cannot be let through now.
    Now,
    /// At most this long, and not in vain: it is refused at once when the wait would be longer.
    MaxWait(Duration),
    /// At most this long, and it is refused then: it waits even if its turn would come later, as
    /// calls before it may give up.
    Timeout(Duration),
    /// As long as it takes.
    Forever,
}

impl Terms {
    /// Whether a call would rather be refused than wait as long as it would have to.
    #[inline(always)]
    pub(super) fn refuses(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Later(wait) => !self.patience.accepts(wait),
            // Nobody knows how long it will be, so a maximum wait is a time-out there.
            Outcome::InUse(_) => self.patience == Patience::Now,
            Outcome::Granted(_) | Outcome::Exhausted | Outcome::Never => false,
        }
    }
}

impl Terms {
    /// What is left of them when a call has waited this long.
    pub(super) fn left_after(self, waited: Nanos) -> Self {
        Self { patience: self.patience.left_after(waited), ..self }
    }

    /// The error for a call that was not let through on these terms.
    #[inline(always)]
    pub(super) fn refusal(self, reason: Reason, limit: Option<&Arc<str>>) -> RateLimited {
        let mut refusal = RateLimited::new(reason).with_cost(self.cost);
        if let Some(name) = limit {
            refusal = refusal.with_limit(Arc::clone(name));
        }
        match self.patience.longest() {
            Some(max_wait) => refusal.with_max_wait(max_wait),
            None => refusal,
        }
    }
}

impl Patience {
    /// Whether a call would rather wait this long than be refused.
    fn accepts(self, wait: Nanos) -> bool {
        match self {
            Patience::Now => false,
            Patience::MaxWait(max_wait) => wait <= max_wait.into(),
            Patience::Timeout(_) | Patience::Forever => true,
        }
    }

    /// The last instant at which a call that comes now accepts to be let go, where that is settled
    /// when it comes.
    pub(super) fn latest(self, now: Nanos) -> Nanos {
        match self {
            Patience::MaxWait(max_wait) => now + max_wait.into(),
            Patience::Now | Patience::Timeout(_) | Patience::Forever => Nanos::MAX,
        }
    }

    pub(super) fn is_endless(self) -> bool {
        matches!(self, Patience::Timeout(_) | Patience::Forever)
    }

    /// What is left of it when a call has waited this long.
    fn left_after(self, waited: Nanos) -> Self {
        match self {
            Patience::MaxWait(longest) => Patience::MaxWait((Nanos::from(longest) - waited).into()),
            Patience::Timeout(longest) => Patience::Timeout((Nanos::from(longest) - waited).into()),
            Patience::Now | Patience::Forever => self,
        }
    }

    /// The longest wait, if there is one.
    pub(super) fn longest(self) -> Option<Duration> {
        match self {
            Patience::Now => Some(Duration::ZERO),
            Patience::MaxWait(longest) | Patience::Timeout(longest) => Some(longest),
            Patience::Forever => None,
        }
    }
}
