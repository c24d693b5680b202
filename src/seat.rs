//! A caller's seat at a limiter: waiting, or with a permit in hand.

use crate::{
    error::RateLimited,
    key::Key,
    limiter::{Attempt, Limiter, Terms},
};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use sync_wrapper::SyncWrapper;

/// Gets a permit, keeps it, and gives it back when dropped before it was used.
///
/// The services have a seat in place of a `Drop` of their own, which would keep users from
/// taking them apart.
pub(crate) struct Seat<L: Limiter> {
    limiter: L,
    /// The permit in hand. Not beside what else may come, which is large, so that it moves cheaply.
    ticket: Option<L::Ticket>,
    /// What came of asking for one otherwise.
    asked: Option<Asked<L>>,
}

enum Asked<L: Limiter> {
    /// The future is pinned in a box so that a service can be moved between polls, and wrapped so
    /// that a service is `Sync` although the future need not be.
    Waiting(SyncWrapper<Pin<Box<L::Wait>>>),
    Refused(RateLimited),
}

/// How a call that a seat was ready for can go on.
pub(crate) enum Go<H> {
    /// And keep this until the call has ended.
    Call(H),
    Refused(RateLimited),
    /// The permit had perished. The seat waits for another one.
    Wait,
}

impl<L: Limiter> Seat<L> {
    #[inline]
    pub(crate) fn new(limiter: L) -> Self {
        Self { limiter, ticket: None, asked: None }
    }

    /// A seat whose caller waits already.
    pub(crate) fn waiting(limiter: L, wait: L::Wait) -> Self {
        Self { limiter, ticket: None, asked: Some(Asked::waiting(wait)) }
    }

    pub(crate) fn limiter(&self) -> &L {
        &self.limiter
    }

    /// Lets go of what earlier polls came to, if it does not stand any more: a permit that has
    /// perished, a refusal, which is asked for anew. Whether there was such a thing.
    #[inline(always)]
    pub(crate) fn renounce(&mut self) -> bool {
        match (&self.ticket, &self.asked) {
            (None, None | Some(Asked::Waiting(_))) => false,
            (Some(ticket), _) if self.limiter.keeps(ticket) => false,
            _ => {
                self.vacate();
                true
            }
        }
    }

    /// Ready once there is a permit, or a refusal; true for a permit.
    #[inline(always)]
    pub(crate) fn poll_seated<K: Key + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        key: &K,
        terms: &Terms,
    ) -> Poll<bool> {
        loop {
            if self.ticket.is_some() {
                return Poll::Ready(true);
            }
            match &mut self.asked {
                None => match self.limiter.reserve(key, *terms) {
                    Attempt::Now(Ok(ticket)) => {
                        self.ticket = Some(ticket);
                        return Poll::Ready(true);
                    }
                    Attempt::Now(Err(refusal)) => self.asked = Some(Asked::Refused(refusal)),
                    Attempt::Later(wait) => self.asked = Some(Asked::waiting(wait)),
                },
                Some(Asked::Waiting(wait)) => match ready!(wait.get_mut().as_mut().poll(cx)) {
                    Ok(ticket) => {
                        self.ticket = Some(ticket);
                        self.asked = None;
                    }
                    Err(refusal) => self.asked = Some(Asked::Refused(refusal)),
                },
                Some(Asked::Refused(_)) => return Poll::Ready(false),
            }
        }
    }

    /// Uses the permit, or says why there is none.
    ///
    /// # Panics
    ///
    /// When [`poll_seated`](Self::poll_seated) was not ready before.
    #[inline(always)]
    pub(crate) fn take<K: Key + ?Sized>(&mut self, key: &K, terms: &Terms) -> Go<L::Hold> {
        match self.ticket.take().map(|ticket| self.limiter.commit(ticket)) {
            Some(Ok(hold)) => Go::Call(hold),
            unused => self.take_otherwise(unused.is_some(), key, terms),
        }
    }

    /// What becomes of a call without a permit: one that perished, or a refusal.
    #[cold]
    #[inline(never)]
    fn take_otherwise<K: Key + ?Sized>(
        &mut self,
        has_perished: bool,
        key: &K,
        terms: &Terms,
    ) -> Go<L::Hold> {
        match has_perished {
            true => self.take_anew(key, terms),
            false => self.take_refusal(),
        }
    }

    fn take_anew<K: Key + ?Sized>(&mut self, key: &K, terms: &Terms) -> Go<L::Hold> {
        match self.limiter.take(key, *terms) {
            Attempt::Now(Ok(hold)) => Go::Call(hold),
            Attempt::Now(Err(refusal)) => Go::Refused(refusal),
            Attempt::Later(wait) => {
                self.asked = Some(Asked::waiting(wait));
                Go::Wait
            }
        }
    }

    #[allow(clippy::panic, reason = "the caller broke the contract of Service")]
    fn take_refusal(&mut self) -> Go<L::Hold> {
        match self.asked.take() {
            Some(Asked::Refused(refusal)) => Go::Refused(refusal),
            None | Some(Asked::Waiting(_)) => panic!("`poll_ready` must be ready before `call`"),
        }
    }

    /// Hands the waiting over to another seat, for a call that leaves its service.
    pub(crate) fn split_off(&mut self) -> Self {
        let (limiter, asked) = (self.limiter.clone(), self.asked.take());
        Self { limiter, ticket: None, asked }
    }

    /// Gives back the permit, or the place in line.
    pub(crate) fn vacate(&mut self) {
        self.asked = None;
        if let Some(ticket) = self.ticket.take() {
            self.limiter.give_back(ticket);
        }
    }
}

/// Lets go of whatever a service has reserved to be ready.
pub(crate) fn unready<S: Clone>(service: &mut S) {
    let fresh = service.clone();
    *service = fresh;
}

impl<L: Limiter> Asked<L> {
    fn waiting(wait: L::Wait) -> Self {
        Asked::Waiting(SyncWrapper::new(Box::pin(wait)))
    }
}

impl<L: Limiter> Drop for Seat<L> {
    #[inline]
    fn drop(&mut self) {
        self.vacate();
    }
}

/// Not derived: a clone shares the limit, and has neither the permit nor the place in line.
impl<L: Limiter> Clone for Seat<L> {
    fn clone(&self) -> Self {
        Self::new(self.limiter.clone())
    }
}

impl<L: Limiter> fmt::Debug for Seat<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.asked {
            None if self.ticket.is_some() => "Granted",
            None => "Idle",
            Some(Asked::Waiting(_)) => "Waiting",
            Some(Asked::Refused(_)) => "Refused",
        })
    }
}
