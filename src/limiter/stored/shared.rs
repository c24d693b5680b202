//! What the callers of a limiter over a store have in common.

use super::{
    super::{Limiter, Terms},
    breaker::Breaker,
    control::Control,
    failing::Failing,
    group::undo,
    pipeline::Pipeline,
    ticket::{From, StoredTicket, Taken},
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    decision::Ask,
    error::{RateLimited, Reason},
    meters::Meters,
    nanos::Nanos,
    store::{Order, Store, StoreAsk, StoredLimit},
};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, atomic::AtomicUsize},
};
use tokio::sync::watch;

/// A limiter without its handle.
pub(super) struct Shared<A: Algorithm, S: Store<A>> {
    pub(super) limit: RwLock<Arc<StoredLimit<A>>>,
    pub(super) pipeline: Arc<Pipeline<A, S>>,
    pub(super) failing: Failing<A>,
    pub(super) breaker: Breaker,
    pub(super) control: watch::Sender<Control>,
    pub(super) asks: AtomicUsize,
    pub(super) settings: Settings,
    pub(super) meters: Meters,
}

/// What a limiter is built with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) deadline: Nanos,
    pub(super) max_asks: usize,
}

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    pub(super) fn now(&self) -> Nanos {
        self.settings.clock.now()
    }

    pub(super) fn limit(&self) -> Arc<StoredLimit<A>> {
        Arc::clone(&self.limit.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the store that something goes back, without waiting for an answer.
    pub(super) fn tell(&self, taken: &Taken<A>, ask: StoreAsk) {
        let (limit, key) = (Arc::clone(&taken.limit), taken.key.clone());
        self.pipeline.send(Order { limit, key, ask, is_with_previous: false });
    }

    /// Permits that are not used go back.
    pub(super) fn give_back(&self, ticket: StoredTicket<A>) {
        match ticket.from {
            From::Store(taken) => {
                let reserve = StoreAsk::Reserve { cost: 1, max_wait: Nanos::ZERO };
                if let Some(ask) = undo(reserve, taken.answer) {
                    self.tell(&taken, ask);
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
        let grant = taken.answer.decision.grant().filter(|grant| grant.cost > 0);
        if let Some(grant) = grant.filter(|_| taken.limit.algorithm.holds()) {
            self.tell(taken, StoreAsk::Ask(Ask::End(grant)));
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
