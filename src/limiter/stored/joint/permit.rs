//! Permits of several limits in a store that were used.

use super::{
    super::{group::Group, ticket::Taken},
    StoredJointTicket,
    failing::Failing,
    part::{Part, ends},
    shared::{Shared, unused},
    ticket::From,
};
use crate::{
    algorithm::AnyAlgorithm,
    decision::{Ask, Decision},
    limiter::{Binding, JointHold, LeaseLost, LimitId, Perished, Settle, Settles, settled::Costs},
    meters::Meters,
    nanos::Nanos,
    store::{Store, StoreAsk},
};
use std::{fmt, mem, sync::Arc, time::Duration};

/// Permits of a [`StoredJointLimiter`](super::StoredJointLimiter) that were granted and used.
///
/// Where calls hold the permits of one of the limits until they end
/// ([`Concurrency`](crate::Concurrency), [`Serialized`](crate::Serialized)), dropping it tells the store
/// that the call has ended; elsewhere dropping it changes nothing.
pub struct StoredJointPermit<S: Store<AnyAlgorithm>> {
    hold: StoredJointHold<S>,
    binding: Option<Binding>,
    waited: Nanos,
}

impl<S: Store<AnyAlgorithm>> StoredJointPermit<S> {
    pub(super) fn new(
        shared: &Arc<Shared<S>>,
        parts: &[Part],
        ticket: StoredJointTicket,
    ) -> Result<Self, Perished> {
        let waited = ticket.waited;
        let binding = match &ticket.from {
            From::Store(_, binding) => Some(shared.binding(binding)),
            From::Local(..) | From::Nobody => None,
        };
        Ok(Self { hold: StoredJointHold::new(shared, parts, ticket)?, binding, waited })
    }

    /// Returns how the limit with the least left stood when the permits were granted; `None` when
    /// the store was not asked, or did not answer.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// Returns how long the call waited for its turn.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited.into()
    }

    /// Gives the permits of all limits back, without waiting for the store to answer. What the limits have
    /// recovered by themselves since does not come back twice.
    pub fn refund(mut self) {
        match mem::replace(&mut self.hold.used, Used::Nothing) {
            Used::Store(taken) => self.hold.shared.tell(unused(&taken)),
            Used::Local(mut hold) => hold.refund(),
            Used::Nothing => {}
        }
    }

    /// Renews the [leases](crate::Concurrency::lease) of a call that goes on, in the store: they
    /// begin anew. Where there are no leases this changes nothing.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`] when one of the leases had ended and others have its permits by now: the call
    /// is no longer counted as being in flight, by any of its limits. Also when the store does not
    /// answer: then that is unknown.
    ///
    /// # Cancel safety
    ///
    /// Dropped, or when the store does not answer, leases may have begun anew without this permit
    /// knowing: then their permits come back when they end, and not when the call does, and a later
    /// renewal may be refused because of them.
    pub async fn renew(&mut self) -> Result<(), LeaseLost> {
        let Used::Store(taken) = &mut self.hold.used else { return Ok(()) };
        let renewals = taken
            .iter()
            .filter_map(|taken| Some(taken.order(StoreAsk::Ask(Ask::Renew(taken.held()?)))));
        let Some(group) = Group::of(renewals) else { return Ok(()) };
        let inquiry = &self.hold.shared.inquiry;
        let decided = inquiry.ask(group, inquiry.now()).await.map_err(|_| LeaseLost)?;
        let held = taken.iter_mut().filter(|taken| taken.held().is_some());
        let mut has_all = true;
        for (taken, answer) in held.zip(decided.take_all()) {
            taken.answer = answer;
            has_all &= answer.is_granted();
        }
        if has_all {
            return Ok(());
        }
        // Of those that were lost there is nothing to end.
        if let Used::Store(taken) = mem::replace(&mut self.hold.used, Used::Nothing) {
            self.hold.shared.tell(ends(&taken));
        }
        Err(LeaseLost)
    }
}

impl<S: Store<AnyAlgorithm>> fmt::Debug for StoredJointPermit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredJointPermit").field("binding", &self.binding).finish_non_exhaustive()
    }
}

/// What a service keeps while a call runs: dropping it says that the call has ended.
pub struct StoredJointHold<S: Store<AnyAlgorithm>> {
    shared: Arc<Shared<S>>,
    used: Used,
}

/// What a call uses.
enum Used {
    Store(Vec<Taken<AnyAlgorithm>>),
    /// Dropping it says there that the call has ended.
    Local(JointHold),
    Nothing,
}

impl<S: Store<AnyAlgorithm>> StoredJointHold<S> {
    pub(super) fn new(
        shared: &Arc<Shared<S>>,
        parts: &[Part],
        ticket: StoredJointTicket,
    ) -> Result<Self, Perished> {
        let used = match ticket.from {
            From::Store(taken, _) => Used::Store(taken),
            From::Local(call, ticket) => Used::Local(call.commit_open(ticket)?),
            From::Nobody => Used::Nothing,
        };
        shared.meters_of(parts).for_each(Meters::admitted);
        Ok(Self { shared: Arc::clone(shared), used })
    }

    /// How the limits stood when the permits were granted; nothing where the store was not asked.
    pub(super) fn decisions(&self) -> Vec<Decision> {
        match &self.used {
            Used::Store(taken) => taken.iter().map(|taken| taken.answer.decision).collect(),
            Used::Local { .. } | Used::Nothing => Vec::new(),
        }
    }
}

/// Tells the store, without waiting for its answer.
impl<S, I> Settle<I> for StoredJointHold<S>
where
    S: Store<AnyAlgorithm>,
    I: IntoIterator<Item = (LimitId, u32)>,
{
    fn settle(&mut self, costs: I) {
        let costs = Costs::new(self.shared.id, costs);
        match &mut self.used {
            Used::Store(taken) => {
                let orders = taken.iter_mut().filter_map(|taken| {
                    let name = &taken.limit.name;
                    let limit = self.shared.names.iter().position(|other| other == name)?;
                    taken.correct(costs.of(limit)?, || self.shared.limit(limit))
                });
                self.shared.tell(orders);
            }
            Used::Local(hold) => {
                if let Failing::Local(share) = &self.shared.failing {
                    hold.settle(share.costs(&costs));
                }
            }
            Used::Nothing => {}
        }
    }
}

impl<S: Store<AnyAlgorithm>> Drop for StoredJointHold<S> {
    fn drop(&mut self) {
        if let Used::Store(taken) = &self.used {
            self.shared.tell(ends(taken));
        }
    }
}

impl<S: Store<AnyAlgorithm>> fmt::Debug for StoredJointHold<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredJointHold").finish_non_exhaustive()
    }
}
