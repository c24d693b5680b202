//! Permits of a store that were used.

use super::{
    super::{Hold, LeaseLost, Perished, Settle, Settles},
    failing::Failing,
    shared::Shared,
    ticket::{From, StoredTicket, Taken},
};
use crate::{
    algorithm::{Algorithm, Permits},
    decision::{Ask, Decision},
    nanos::Nanos,
    store::{Store, StoreAsk},
};
use std::{fmt, mem, sync::Arc, time::Duration};

/// Permits of a [`StoredLimiter`](super::StoredLimiter) that were granted and used.
///
/// Where calls hold their permits until they end ([`Concurrency`](crate::Concurrency),
/// [`Serialized`](crate::Serialized)), dropping it tells the store that the call has ended;
/// elsewhere dropping it changes nothing.
pub struct StoredPermit<A: Algorithm, S: Store<A>> {
    hold: StoredHold<A, S>,
    waited: Nanos,
}

impl<A: Algorithm, S: Store<A>> StoredPermit<A, S> {
    pub(super) fn new(
        shared: Arc<Shared<A, S>>,
        ticket: StoredTicket<A>,
    ) -> Result<Self, Perished> {
        let waited = ticket.waited;
        Ok(Self { hold: StoredHold::new(shared, ticket)?, waited })
    }

    /// Returns how the limit stood when the permits were granted; `None` when the store was not
    /// asked, or did not answer.
    #[must_use]
    pub fn decision(&self) -> Option<Decision> {
        self.hold.decision()
    }

    /// Returns how long the call waited for its turn.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited.into()
    }

    /// Gives the permits back, without waiting for the store to answer. What the limit has
    /// recovered by itself since does not come back twice.
    pub fn refund(mut self) {
        match mem::replace(&mut self.hold.used, Used::Nothing) {
            Used::Store(taken) => {
                if let Some(grant) = taken.answer.decision.grant() {
                    self.hold.shared.tell(taken.order(StoreAsk::Ask(Ask::GiveBack(grant))));
                }
            }
            // Where permits are held, they come back as the hold is dropped.
            Used::Local(mut hold) => hold.settle(0),
            Used::Nothing => {}
        }
    }

    /// Renews the [lease](crate::Concurrency::lease) of a call that goes on, in the store: it
    /// begins anew. Where there are no leases this changes nothing.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`] when the lease had ended and others have the permits by now, and when the
    /// store does not answer: then that is unknown.
    ///
    /// # Cancel safety
    ///
    /// Dropped, or when the store does not answer, the lease may have begun anew without this
    /// permit knowing: then the permits come back when it ends, and not when the call does, and a
    /// later renewal may be refused because of them.
    pub async fn renew(&mut self) -> Result<(), LeaseLost> {
        let Used::Store(taken) = &mut self.hold.used else { return Ok(()) };
        let Some(grant) = taken.held() else { return Ok(()) };
        let renew = StoreAsk::Ask(Ask::Renew(grant));
        let (shared, limit) = (&self.hold.shared, Arc::clone(&taken.limit));
        let decided = shared.ask(limit, &taken.key, renew, shared.now()).await;
        let answer = decided.map_err(|_| LeaseLost)?.take();
        match answer.is_granted() {
            true => {
                taken.answer = answer;
                Ok(())
            }
            false => Err(LeaseLost),
        }
    }
}

impl<A: Algorithm, S: Store<A>> fmt::Debug for StoredPermit<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPermit").field("decision", &self.decision()).finish_non_exhaustive()
    }
}

/// What a service keeps while a call runs: how the limit stood and what its permits cost. Where
/// they are [held](crate::algorithm::Held), dropping it says that the call has ended.
pub struct StoredHold<A: Algorithm, S: Store<A>> {
    shared: Arc<Shared<A, S>>,
    used: Used<A>,
}

/// What a call uses.
enum Used<A: Algorithm> {
    Store(Taken<A>),
    /// Dropping it says there that the call has ended.
    Local(Hold<A>),
    Nothing,
}

impl<A: Algorithm, S: Store<A>> StoredHold<A, S> {
    pub(super) fn new(
        shared: Arc<Shared<A, S>>,
        ticket: StoredTicket<A>,
    ) -> Result<Self, Perished> {
        let used = match (ticket.from, &shared.failing) {
            (From::Store(taken), _) => Used::Store(taken),
            (From::Local(ticket), Failing::Local(local)) => Used::Local(local.commit_open(ticket)?),
            (From::Local(_) | From::Nobody, _) => Used::Nothing,
        };
        shared.meters.admitted();
        Ok(Self { shared, used })
    }

    /// How the limit stood when the permits were granted, if the store was asked.
    pub(super) fn decision(&self) -> Option<Decision> {
        match &self.used {
            Used::Store(taken) => Some(taken.answer.decision),
            Used::Local(_) | Used::Nothing => None,
        }
    }
}

/// Tells the store, without waiting for its answer.
impl<A: Algorithm, S: Store<A>> Settle<u32> for StoredHold<A, S> {
    fn settle(&mut self, cost: u32) {
        match &mut self.used {
            Used::Store(taken) => {
                if let Some(order) = taken.correct(cost, || self.shared.limit()) {
                    self.shared.tell(order);
                }
            }
            Used::Local(hold) => hold.settle(cost),
            Used::Nothing => {}
        }
    }
}

impl<A: Algorithm, S: Store<A>> Drop for StoredHold<A, S> {
    fn drop(&mut self) {
        if let Used::Store(taken) = &self.used
            && A::Permits::HELD
        {
            self.shared.end(taken);
        }
    }
}

impl<A: Algorithm, S: Store<A>> fmt::Debug for StoredHold<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredHold").finish_non_exhaustive()
    }
}
