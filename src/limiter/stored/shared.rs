//! What the callers of a limiter over a store have in common.

use super::{
    super::{Limiter, Terms},
    failing::Failing,
    group::{Decided, Group},
    inquiry::Inquiry,
    reins::Reins,
    ticket::{From, StoredTicket, Taken},
};
use crate::{
    algorithm::Algorithm,
    decision::Ask,
    error::{RateLimited, Reason},
    meters::Meters,
    nanos::Nanos,
    store::{Order, Store, StoreAsk, StoreError, StoreKey, StoredLimit},
};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// A limiter without its handle.
pub(super) struct Shared<A: Algorithm, S: Store<A>> {
    pub(super) limit: RwLock<Arc<StoredLimit<A>>>,
    pub(super) inquiry: Inquiry<A, S>,
    pub(super) failing: Failing<A>,
    pub(super) reins: Reins,
    pub(super) meters: Meters,
}

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    pub(super) fn now(&self) -> Nanos {
        self.inquiry.now()
    }

    pub(super) fn limit(&self) -> Arc<StoredLimit<A>> {
        Arc::clone(&self.limit.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the store about this limit, at this instant.
    pub(super) fn ask(
        &self,
        limit: Arc<StoredLimit<A>>,
        key: &StoreKey,
        ask: StoreAsk,
        now: Nanos,
    ) -> impl Future<Output = Result<Decided<A, S>, StoreError>> {
        let order = Order { limit, key: key.clone(), ask, is_with_previous: false };
        self.inquiry.ask(Group::one(order), now)
    }

    /// Tells the store that something goes back, without waiting for an answer.
    pub(super) fn tell(&self, order: Order<A>) {
        self.inquiry.pipeline.send(Group::one(order));
    }

    /// Permits that are not used go back.
    pub(super) fn give_back(&self, ticket: StoredTicket<A>) {
        match ticket.from {
            From::Store(taken) => {
                if let Some(ask) = taken.unused() {
                    self.tell(taken.order(ask));
                }
            }
            From::Local(ticket) => {
                if let Failing::Local(local) = &self.failing {
                    local.give_back(ticket);
                }
            }
            From::Nobody => {}
        }
    }

    /// The call that used these permits has ended.
    pub(super) fn end(&self, taken: &Taken<A>) {
        if let Some(grant) = taken.held() {
            self.tell(taken.order(StoreAsk::Ask(Ask::End(grant))));
        }
    }

    /// What lets a call pass for which nothing was taken.
    pub(super) fn free(&self, now: Nanos) -> StoredTicket<A> {
        StoredTicket { from: From::Nobody, at: now, waited: Nanos::ZERO }
    }

    /// Whether permits are not too old to be used.
    pub(super) fn keeps(&self, ticket: &StoredTicket<A>) -> bool {
        match (&ticket.from, &self.failing) {
            (From::Store(taken), _) => self.now() < ticket.at + taken.limit.algorithm.shelf_life(),
            (From::Local(ticket), Failing::Local(local)) => local.keeps(ticket),
            (From::Local(_) | From::Nobody, _) => true,
        }
    }

    pub(super) fn refusal(&self, reason: Reason, terms: Terms) -> RateLimited {
        let limit = self.limit();
        terms.refusal(reason, Some(&limit.name))
    }
}

impl<A: Algorithm + fmt::Debug, S: Store<A>> fmt::Debug for Shared<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredLimiter").field("limit", &self.limit()).finish_non_exhaustive()
    }
}
