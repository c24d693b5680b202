//! Limiters without the methods that change them.

use super::{Attempt, Limiter, Perished, Settles, Standing, Terms};
use crate::{error::RateLimited, key::Key};

/// A limiter that calls can take permits of, and that cannot be cancelled, closed or reset; that of a
/// layer that [only waits](crate::RateLimitLayer::wait_only), whose calls are never refused.
#[derive(Clone, Debug)]
pub struct Uncontrolled<L>(pub(crate) L);

impl<L: Limiter> Limiter for Uncontrolled<L> {
    type Ticket = L::Ticket;
    type Hold = L::Hold;
    type Wait = L::Wait;

    #[inline(always)]
    fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<L::Ticket, L::Wait> {
        self.0.reserve(key, terms)
    }

    #[inline(always)]
    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<L::Hold, L::Wait> {
        self.0.take(key, terms)
    }

    #[inline(always)]
    fn take_noting<K: Key + ?Sized, N>(
        &self,
        key: &K,
        terms: Terms,
        note: impl FnOnce(&dyn Fn(&mut dyn FnMut(Standing<'_>))) -> N,
    ) -> Attempt<(L::Hold, N), L::Wait> {
        self.0.take_noting(key, terms, note)
    }

    #[inline(always)]
    fn keeps(&self, ticket: &L::Ticket) -> bool {
        self.0.keeps(ticket)
    }

    #[inline(always)]
    fn commit(&self, ticket: L::Ticket) -> Result<L::Hold, Perished> {
        self.0.commit(ticket)
    }

    fn give_back(&self, ticket: L::Ticket) {
        self.0.give_back(ticket);
    }

    fn standing<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&L::Hold, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.0.standing(key, decided, tell);
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        self.0.policies(tell);
    }

    fn could_grant(&self, cost: u32) -> bool {
        self.0.could_grant(cost)
    }
}

impl<L: Settles> Settles for Uncontrolled<L> {
    type Account = L::Account;

    fn take_open<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<L::Account, L::Wait> {
        self.0.take_open(key, terms)
    }

    fn commit_open(&self, ticket: L::Ticket) -> Result<L::Account, Perished> {
        self.0.commit_open(ticket)
    }

    fn standing_open<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&L::Account, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.0.standing_open(key, decided, tell);
    }
}
