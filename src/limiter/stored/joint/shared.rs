//! What the callers of several limits in a store have in common.

use super::{
    super::{
        super::joint::{refused::Refused, verdict::Answer},
        group::Group,
        inquiry::Inquiry,
        reins::Reins,
        ticket::Taken,
    },
    StoredJointTicket,
    failing::Failing,
    part::{Asked, Part},
    ticket::From,
};
use crate::{
    algorithm::{Algorithm, AnyAlgorithm},
    decision::Decision,
    error::{RateLimited, Reason},
    limiter::{
        Binding, Limiter, Terms,
        standing::{self, Standings},
    },
    meters::Meters,
    nanos::Nanos,
    store::{Order, Store, StoreAsk, StoredLimit},
};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// A limiter without its handle.
pub(super) struct Shared<S: Store<AnyAlgorithm>> {
    pub(super) id: u64,
    pub(super) names: Vec<Arc<str>>,
    pub(super) limits: Vec<RwLock<Arc<StoredLimit<AnyAlgorithm>>>>,
    pub(super) inquiry: Inquiry<AnyAlgorithm, S>,
    pub(super) failing: Failing,
    pub(super) reins: Reins,
    pub(super) meters: Vec<Meters>,
}

impl<S: Store<AnyAlgorithm>> Shared<S> {
    pub(super) fn now(&self) -> Nanos {
        self.inquiry.now()
    }

    pub(super) fn limit(&self, index: usize) -> Arc<StoredLimit<AnyAlgorithm>> {
        Arc::clone(&self.limits[index].read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What asks one of the limits, as it stands now, by itself.
    pub(super) fn ordered(&self, part: &Part, ask: StoreAsk) -> Order<AnyAlgorithm> {
        Asked { part: part.clone(), limit: self.limit(part.limit) }.order(ask)
    }

    /// Those of the parts that cost something, as their limits stand now.
    pub(super) fn asked(&self, parts: &[Part]) -> Vec<Asked> {
        let costly = parts.iter().filter(|part| part.cost > 0);
        costly.map(|part| Asked { part: part.clone(), limit: self.limit(part.limit) }).collect()
    }

    /// Tells the store that something goes back, without waiting for an answer.
    pub(super) fn tell(&self, orders: impl IntoIterator<Item = Order<AnyAlgorithm>>) {
        if let Some(group) = Group::of(orders) {
            self.inquiry.pipeline.send(group);
        }
    }

    /// Permits that are not used go back.
    pub(super) fn give_back(&self, ticket: StoredJointTicket) {
        match ticket.from {
            From::Store(taken, _) => self.tell(unused(&taken)),
            From::Local(call, ticket) => call.give_back(ticket),
            From::Nobody => {}
        }
    }

    /// Whether permits are not too old to be used.
    pub(super) fn keeps(&self, ticket: &StoredJointTicket) -> bool {
        match &ticket.from {
            From::Store(taken, _) => {
                let shelf_lives = taken.iter().map(|taken| taken.limit.algorithm.shelf_life());
                let shelf_life = shelf_lives.min().unwrap_or(Nanos::MAX);
                self.now() < ticket.at + shelf_life
            }
            From::Local(call, ticket) => call.keeps(ticket),
            From::Nobody => true,
        }
    }

    pub(super) fn binding(&self, answer: &Answer) -> Binding {
        Binding { limit: self.names.get(answer.limit).cloned(), decision: answer.decision }
    }

    /// Refuses a call that asked for these parts, and counts that: by the limit that refuses, or by all of them
    /// where none does.
    pub(super) fn refuse(
        &self,
        reason: Reason,
        answer: Option<Answer>,
        parts: &[Part],
        terms: Terms,
    ) -> RateLimited {
        match answer.and_then(|answer| self.meters.get(answer.limit)) {
            Some(meters) => meters.refused(reason),
            None => self.meters_of(parts).for_each(|meters| meters.refused(reason)),
        }
        let limit = answer.filter(|answer| answer.limit < self.limits.len());
        let rate =
            limit.and_then(|answer| self.limit(answer.limit).algorithm.rate(answer.decision.rate));
        Refused::new(reason, answer, rate).tell(&self.names, terms)
    }

    /// How the limits of these parts stand, by what the store answered about those that cost something.
    pub(super) fn standings(&self, parts: &[Part], known: &[Decision]) -> Standings {
        let mut standings = Standings::default();
        let mut known = known.iter().copied();
        for part in parts {
            let decision = if part.cost > 0 { known.next() } else { None };
            let add = &mut |rate| standings.add(part.limit, rate);
            standing::tell(None, &self.limit(part.limit).algorithm, decision, add);
        }
        standings
    }

    /// Those of all limits that these parts are of, each once.
    pub(super) fn meters_of(&self, parts: &[Part]) -> impl Iterator<Item = &Meters> {
        let is_asked = |index: &usize| parts.iter().any(|part| part.limit == *index);
        (0..self.meters.len()).filter(is_asked).map(|index| &self.meters[index])
    }
}

/// What gives permits back.
pub(super) fn unused(taken: &[Taken<AnyAlgorithm>]) -> impl Iterator<Item = Order<AnyAlgorithm>> {
    taken.iter().filter_map(|taken| Some(taken.order(taken.unused()?)))
}

impl<S: Store<AnyAlgorithm>> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<_> = (0..self.limits.len()).map(|index| self.limit(index)).collect();
        f.debug_struct("StoredJointLimiter").field("limits", &limits).finish_non_exhaustive()
    }
}
