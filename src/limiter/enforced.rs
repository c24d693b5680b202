//! Limits that refuse only a share of the calls that they would refuse.

use super::{
    Attempt, Enforcement, KeyedLimiter, Limiter, Patience, Perished, Settle, Settles, Standing,
    Terms,
};
use crate::{error::RateLimited, events, key::Key, meters};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A limiter that is enforced for a share of its refusals; made by [`Enforcement::of`].
#[derive(Clone, Debug)]
pub struct Enforced<L> {
    limiter: L,
    enforcement: Enforcement,
}

/// Whether a refusal of a call stands.
#[derive(Clone, Copy, Debug)]
enum How {
    Whatever,
    ByTurns,
    Not,
}

impl How {
    /// Lets a call pass that was refused, unless that stands.
    fn conclude<T>(
        self,
        enforcement: &Enforcement,
        asked: Result<T, RateLimited>,
    ) -> Result<Option<T>, RateLimited> {
        let refusal = match asked {
            Ok(granted) => return Ok(Some(granted)),
            Err(refusal) => refusal,
        };
        let stands = match self {
            How::Whatever => true,
            How::ByTurns => enforcement.is_next(),
            How::Not => false,
        };
        if stands {
            return Err(refusal);
        }
        meters::unenforced(&refusal);
        events::unenforced(&refusal);
        Ok(None)
    }
}

impl<L> Enforced<L> {
    pub(super) fn new(limiter: L, enforcement: Enforcement) -> Self {
        Self { limiter, enforcement }
    }
}

impl<L: Limiter> Enforced<L> {
    fn ask<T>(
        &self,
        terms: Terms,
        ask: impl FnOnce(Terms) -> Attempt<T, L::Wait>,
    ) -> Attempt<Option<T>, EnforcedWait<L>> {
        let (how, terms) = match terms.patience {
            Patience::Now => (How::ByTurns, terms),
            _ if self.enforcement.is_next() => (How::Whatever, terms),
            _ => (How::Not, Terms { patience: Patience::Now, ..terms }),
        };
        match ask(terms) {
            Attempt::Now(asked) => Attempt::Now(how.conclude(&self.enforcement, asked)),
            Attempt::Later(wait) => {
                Attempt::Later(EnforcedWait { wait, enforcement: self.enforcement.clone(), how })
            }
        }
    }
}

/// Where there is nothing, the call passed although it was refused.
impl<L: Limiter> Limiter for Enforced<L> {
    type Ticket = Option<L::Ticket>;
    type Hold = Option<L::Hold>;
    type Wait = EnforcedWait<L>;

    fn reserve<K: Key + ?Sized>(
        &self,
        key: &K,
        terms: Terms,
    ) -> Attempt<Option<L::Ticket>, EnforcedWait<L>> {
        self.ask(terms, |terms| self.limiter.reserve(key, terms))
    }

    fn take<K: Key + ?Sized>(
        &self,
        key: &K,
        terms: Terms,
    ) -> Attempt<Option<L::Hold>, EnforcedWait<L>> {
        self.ask(terms, |terms| self.limiter.take(key, terms))
    }

    fn keeps(&self, ticket: &Option<L::Ticket>) -> bool {
        ticket.as_ref().is_none_or(|ticket| self.limiter.keeps(ticket))
    }

    fn commit(&self, ticket: Option<L::Ticket>) -> Result<Option<L::Hold>, Perished> {
        ticket.map(|ticket| self.limiter.commit(ticket)).transpose()
    }

    fn give_back(&self, ticket: Option<L::Ticket>) {
        if let Some(ticket) = ticket {
            self.limiter.give_back(ticket);
        }
    }

    fn standing<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&Option<L::Hold>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        match decided {
            Ok(Some(hold)) => self.limiter.standing(key, Ok(hold), tell),
            // What was not enforced is not told either.
            Ok(None) => self.limiter.policies(tell),
            Err(refusal) => self.limiter.standing(key, Err(refusal), tell),
        }
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        self.limiter.policies(tell);
    }

    fn could_grant(&self, cost: u32) -> bool {
        self.limiter.could_grant(cost)
    }
}

impl<L: KeyedLimiter> KeyedLimiter for Enforced<L> {}

impl<L: Settles> Settles for Enforced<L> {
    type Account = Option<L::Account>;

    fn take_open<K: Key + ?Sized>(
        &self,
        key: &K,
        terms: Terms,
    ) -> Attempt<Option<L::Account>, EnforcedWait<L>> {
        self.ask(terms, |terms| self.limiter.take_open(key, terms))
    }

    fn commit_open(&self, ticket: Option<L::Ticket>) -> Result<Option<L::Account>, Perished> {
        ticket.map(|ticket| self.limiter.commit_open(ticket)).transpose()
    }

    fn standing_open<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&Option<L::Account>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        match decided {
            Ok(Some(hold)) => self.limiter.standing_open(key, Ok(hold), tell),
            // What was not enforced is not told either.
            Ok(None) => self.limiter.policies(tell),
            Err(refusal) => self.limiter.standing_open(key, Err(refusal), tell),
        }
    }
}

impl<C, A: Settle<C>> Settle<C> for Option<A> {
    fn settle(&mut self, cost: C) {
        if let Some(account) = self {
            account.settle(cost);
        }
    }
}

pin_project! {
    /// The future of a ticket of an [`Enforced`] limiter.
    ///
    /// # Cancel safety
    ///
    /// That of the limiter's own.
    #[must_use = "futures do nothing unless polled"]
    pub struct EnforcedWait<L: Limiter> {
        #[pin]
        wait: L::Wait,
        enforcement: Enforcement,
        how: How,
    }
}

impl<L: Limiter> Future for EnforcedWait<L> {
    type Output = Result<Option<L::Ticket>, RateLimited>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let asked = ready!(this.wait.poll(cx));
        Poll::Ready(this.how.conclude(this.enforcement, asked))
    }
}

impl<L: Limiter> fmt::Debug for EnforcedWait<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnforcedWait")
            .field("enforcement", &self.enforcement)
            .finish_non_exhaustive()
    }
}
