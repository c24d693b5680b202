//! One limit for everybody who asks.

use super::{
    Acquire, Attempt, Builder, Limiter, Patience, Perished, Permit, Reservation, Terms, Ticket,
    Waiting,
    acquire::Granted,
    shared::{Shared, Used},
};
use crate::{
    algorithm::Algorithm, decision::Decision, error::RateLimited, key::Key,
    store::memory::Fingerprint,
};
use std::{fmt, sync::Arc};

/// One limit, kept in memory, and the line of those who wait for it.
///
/// A handle: clones share the limit. Callers are served in the order in which they asked; nobody
/// overtakes. It needs no runtime until somebody waits.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};
///
/// let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_second(10)?).capacity(1)?);
/// limiter.acquire().await?; // waits its turn
/// limiter.try_acquire().unwrap_err(); // never waits
///
/// let short = Duration::from_millis(50);
/// limiter.acquire().max_wait(short).await.unwrap_err(); // knows at once that 50 ms are too few
/// limiter.acquire().cost(1).max_wait(short * 2).await?;
///
/// let answer = limiter.wrap(async { 42 }).await?; // runs the future once it may
/// # assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
pub struct RateLimiter<A: Algorithm> {
    shared: Arc<Shared<A>>,
    key: Fingerprint,
}

impl<A: Algorithm> RateLimiter<A> {
    /// A limit that was never used yet.
    #[must_use]
    pub fn new(algorithm: A) -> Self {
        Self::builder(algorithm).build()
    }

    /// The same with a name, a clock or a bound on the line.
    pub fn builder(algorithm: A) -> Builder<A> {
        Builder::new(algorithm)
    }

    #[inline(always)]
    pub(super) fn reserve_on(&self, terms: Terms) -> Attempt<Ticket, Waiting<A>> {
        self.shared.reserve(self.key, terms)
    }

    #[inline(always)]
    pub(super) fn take_on(&self, terms: Terms) -> Attempt<Used, Waiting<A>> {
        self.shared.take(self.key, terms)
    }

    pub(super) fn shared(&self) -> &Shared<A> {
        &self.shared
    }

    pub(super) fn from_shared(shared: Arc<Shared<A>>, key: Fingerprint) -> Self {
        Self { shared, key }
    }

    /// Takes one permit now, or not at all.
    ///
    /// It never waits, and never fails because somebody else is asking at the same time.
    ///
    /// # Errors
    ///
    /// [`RateLimited`] when there is no permit, or others stand in line;
    /// [`retry_after`](RateLimited::retry_after) is then when this call's turn would come.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_, A>, RateLimited> {
        self.try_acquire_many(1)
    }

    /// Takes `cost` permits now, or none of them.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`TooCostly`](crate::Reason::TooCostly) when
    /// that many could never be had.
    #[inline]
    pub fn try_acquire_many(&self, cost: u32) -> Result<Permit<'_, A>, RateLimited> {
        match Permit::ask(self, Terms { cost, patience: Patience::Now }) {
            Attempt::Now(result) => result,
            Attempt::Later(_) => unreachable!("a call without patience is answered at once"),
        }
    }

    /// Takes one permit and waits for it in line; [`Acquire`] says how to ask for more, or to wait less.
    ///
    /// The permit counts as used the moment the future is ready.
    #[inline]
    pub fn acquire(&self) -> Acquire<'_, A> {
        Acquire::new(self)
    }

    /// The same for a permit that is used later, or goes back: see [`Reservation`].
    #[inline]
    pub fn reserve(&self) -> Acquire<'_, A, Reservation<'_, A>> {
        Acquire::new(self)
    }

    /// Runs a future once there is a permit for it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); the future is not polled then.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nothing; once the future runs, the permit is used.
    pub async fn wrap<F: Future>(&self, future: F) -> Result<F::Output, RateLimited> {
        let _used = self.acquire().await?;
        Ok(future.await)
    }

    /// What would happen to a call of this cost that asks now. Takes nothing.
    pub fn peek(&self, cost: u32) -> Decision {
        self.shared.peek(self.key, cost)
    }

    /// The arithmetic of the limit.
    #[must_use]
    pub fn algorithm(&self) -> &A {
        &self.shared.algorithm
    }
}

impl<A: Algorithm> Clone for RateLimiter<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), key: self.key }
    }
}

impl<A: Algorithm> Limiter for RateLimiter<A> {
    type Ticket = Ticket;
    type Wait = Waiting<A>;

    #[inline(always)]
    fn reserve<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<Ticket, Waiting<A>> {
        self.reserve_on(terms)
    }

    #[inline(always)]
    fn take<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<(), Waiting<A>> {
        self.take_on(terms).map(drop)
    }

    fn keeps(&self, ticket: &Ticket) -> bool {
        self.shared.keeps(ticket)
    }

    #[inline(always)]
    fn commit(&self, ticket: Ticket) -> Result<(), Perished> {
        self.shared.commit(ticket).map(drop)
    }

    fn give_back(&self, ticket: Ticket) {
        self.shared.give_back(ticket);
    }
}

impl<A: Algorithm + fmt::Debug> fmt::Debug for RateLimiter<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
