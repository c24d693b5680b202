//! Costs that are known once there is a response.

use super::{Attempt, KeyedLimiter, LimitId, Limiter, Perished, Standing, Terms};
use crate::{error::RateLimited, key::Key};

/// A [`Limiter`] that can settle the cost of a call afterwards, which the `settle` of a layer
/// requires ([`PerKeyLayer::settle`](crate::PerKeyLayer::settle)).
///
/// A limiter of your own can do so when it remembers what was taken for a call. The contract is that
/// of [`Limiter::take`] and [`Limiter::commit`], except for what is kept while the call runs.
pub trait Settles: Limiter {
    /// What is kept while a call runs, to [settle](Settle) what it costs. Dropped unsettled, the call
    /// keeps what it took in advance.
    type Account: Send + Sync + 'static;

    /// Takes permits as [`Limiter::take`] does, and opens the account of the call.
    fn take_open<K: Key + ?Sized>(
        &self,
        key: &K,
        terms: Terms,
    ) -> Attempt<Self::Account, Self::Wait>;

    /// Uses permits as [`Limiter::commit`] does, and opens the account of the call.
    ///
    /// # Errors
    ///
    /// [`Perished`] when the permits had grown too old. They went back; ask again.
    fn commit_open(&self, ticket: Self::Ticket) -> Result<Self::Account, Perished>;

    /// Reports how the limits stand, as [`Limiter::standing`] does.
    fn standing_open<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&Self::Account, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    );
}

/// What is kept of a call until its cost is known.
///
/// The cost is the number of permits; where a call is subject to several limits, one for each
/// [`LimitId`].
pub trait Settle<C>: Send + Sync + 'static {
    /// Settles what the call has cost in all. What was taken in advance beyond that goes back; what
    /// is missing is charged, as a debt if need be.
    ///
    /// It does nothing for a call that took no permits in advance, and where calls
    /// [hold](crate::algorithm::Held) their permits.
    fn settle(&mut self, cost: C);
}

/// A limiter whose calls remember what they took until their cost is settled; made by the `settle`
/// of a layer ([`PerKeyLayer::settle`](crate::PerKeyLayer::settle)).
#[derive(Clone, Debug)]
pub struct Settled<L>(pub(crate) L);

impl<L: Settles> Limiter for Settled<L> {
    type Ticket = L::Ticket;
    type Hold = L::Account;
    type Wait = L::Wait;

    fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<L::Ticket, L::Wait> {
        self.0.reserve(key, terms)
    }

    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<L::Account, L::Wait> {
        self.0.take_open(key, terms)
    }

    fn keeps(&self, ticket: &L::Ticket) -> bool {
        self.0.keeps(ticket)
    }

    fn commit(&self, ticket: L::Ticket) -> Result<L::Account, Perished> {
        self.0.commit_open(ticket)
    }

    fn give_back(&self, ticket: L::Ticket) {
        self.0.give_back(ticket);
    }

    fn standing<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&L::Account, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.0.standing_open(key, decided, tell);
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        self.0.policies(tell);
    }

    fn could_grant(&self, cost: u32) -> bool {
        self.0.could_grant(cost)
    }
}

impl<L: Settles + KeyedLimiter> KeyedLimiter for Settled<L> {}

/// What a call has cost at some of the limits of one limiter.
pub(super) struct Costs(Vec<(usize, u32)>);

impl Costs {
    /// Those of the limits of this limiter; a cost at a limit of another one is of no matter.
    pub(super) fn new(limiter: u64, costs: impl IntoIterator<Item = (LimitId, u32)>) -> Self {
        let own = costs.into_iter().filter(|(limit, _)| limit.of == limiter);
        Self(own.map(|(limit, cost)| (limit.index, cost)).collect())
    }

    /// The cost at one of them, if it was named. Named twice, it costs twice.
    pub(super) fn of(&self, limit: usize) -> Option<u32> {
        let named = self.0.iter().filter(|(index, _)| *index == limit).map(|(_, cost)| *cost);
        named.reduce(u32::saturating_add)
    }
}
