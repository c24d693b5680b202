//! Permits of a store that were granted and not used yet.

use super::{super::Ticket, group::undo};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Grant},
    nanos::Nanos,
    store::{Answer, Order, StoreAsk, StoreKey, StoredLimit},
};
use std::{fmt, sync::Arc};

/// Permits granted by a [`StoredLimiter`](super::StoredLimiter), and not used yet.
#[must_use = "permits are committed or given back"]
pub struct StoredTicket<A: Algorithm> {
    pub(super) from: From<A>,
    /// When they could be used first, by the clock of this process.
    pub(super) at: Nanos,
    /// How long the call waited for them.
    pub(super) waited: Nanos,
}

/// Who granted permits.
pub(super) enum From<A: Algorithm> {
    Store(Taken<A>),
    /// The limit in this process, as the store did not answer.
    Local(Ticket),
    /// Nobody: nothing was taken.
    Nobody,
}

/// Permits that are taken in the store.
pub(super) struct Taken<A: Algorithm> {
    /// The limit as it was when they were taken.
    pub(super) limit: Arc<StoredLimit<A>>,
    pub(super) key: StoreKey,
    pub(super) answer: Answer,
}

impl<A: Algorithm> Taken<A> {
    /// What tells the store of them.
    pub(super) fn order(&self, ask: StoreAsk) -> Order<A> {
        let (limit, key) = (Arc::clone(&self.limit), self.key.clone());
        Order { limit, key, ask, is_with_previous: false }
    }

    /// What gives them back before they were used.
    pub(super) fn unused(&self) -> Option<StoreAsk> {
        undo(StoreAsk::Reserve { cost: 1, max_wait: Nanos::ZERO }, self.answer)
    }

    /// What makes of them so many, where calls do not hold them; from then on they are so many. What goes back
    /// goes to the limit that granted it, and what is missing is charged to the limit as it is now.
    pub(super) fn correct(
        &mut self,
        cost: u32,
        limit: impl FnOnce() -> Arc<StoredLimit<A>>,
    ) -> Option<Order<A>> {
        let decision = self.answer.decision;
        let correction = decision.grant()?.correct(cost)?;
        if self.limit.algorithm.holds() {
            return None;
        }
        self.answer.decision = decision.costing(cost);
        let order = self.order(StoreAsk::Ask(correction));
        match correction {
            Ask::Charge(_) => {
                let limit = limit();
                (!limit.algorithm.holds()).then_some(Order { limit, ..order })
            }
            _ => Some(order),
        }
    }

    /// Them, where a call holds them until it ends.
    pub(super) fn held(&self) -> Option<Grant> {
        let grant = self.answer.decision.grant().filter(|grant| grant.cost > 0);
        grant.filter(|_| self.limit.algorithm.holds())
    }
}

impl<A: Algorithm> StoredTicket<A> {
    /// How the limit stood, if the store was asked.
    pub(super) fn decision(&self) -> Option<Decision> {
        match &self.from {
            From::Store(taken) => Some(taken.answer.decision),
            From::Local(_) | From::Nobody => None,
        }
    }
}

impl<A: Algorithm> fmt::Debug for StoredTicket<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTicket")
            .field("at", &self.at)
            .field("decision", &self.decision())
            .finish_non_exhaustive()
    }
}
