//! One limit for everybody who asks.

use super::{
    Acquire, Attempt, Builder, Hold, Limiter, Patience, Perished, Permit, Reservation, Settles,
    Standing, Terms, Ticket, Waiting, permit::Kept, shared::Shared, used::Used,
};
use crate::{
    algorithm::Algorithm,
    decision::{Decision, Outcome},
    error::RateLimited,
    key::Key,
    nanos::Nanos,
    store::table::{Fingerprint, KeptKey},
};
use std::{fmt, sync::Arc};

/// One limit, kept in memory, with a first-come, first-served line of waiting calls.
///
/// A handle: clones share the limit. Callers are served in the order in which they asked; none
/// overtakes another. It needs no runtime until a task waits.
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
///
/// A limiter for the whole program is a static:
///
/// ```
/// use std::sync::LazyLock;
/// use tower_ratelimit::{Rate, RateLimiter, Strict};
///
/// static OUTGOING: LazyLock<RateLimiter<Strict>> = LazyLock::new(|| {
///     RateLimiter::new(Strict::new(Rate::per_second(5).expect("five a second is a rate")))
/// });
///
/// OUTGOING.try_acquire().expect("the first call");
/// ```
pub struct RateLimiter<A: Algorithm> {
    shared: Arc<Shared<A>>,
    key: Fingerprint,
    /// Keeps the name of the key for as long as somebody may ask.
    name: Option<KeptKey>,
}

impl<A: Algorithm> RateLimiter<A> {
    /// Creates a limiter with fresh state: no permit was taken yet.
    #[must_use]
    pub fn new(algorithm: A) -> Self {
        Self::builder(algorithm).build()
    }

    /// Returns a [`Builder`], to set a name, a clock or a bound on the line.
    pub fn builder(algorithm: A) -> Builder<A> {
        Builder::new(algorithm)
    }

    #[inline(always)]
    pub(super) fn take_on<T>(
        &self,
        terms: &Terms,
        keep: impl FnOnce(Used) -> T,
    ) -> Attempt<T, Waiting<A>> {
        self.shared.take(self.key, terms, None, keep)
    }

    #[inline(always)]
    pub(super) fn shared(&self) -> &Arc<Shared<A>> {
        &self.shared
    }

    pub(super) fn key(&self) -> Fingerprint {
        self.key
    }

    pub(super) fn from_shared(
        shared: Arc<Shared<A>>,
        key: Fingerprint,
        name: Option<KeptKey>,
    ) -> Self {
        Self { shared, key, name }
    }

    /// Takes one permit now, or not at all.
    ///
    /// It never waits, and never fails because another caller is asking at the same time.
    ///
    /// # Errors
    ///
    /// [`RateLimited`] when there is no permit, or others stand in line;
    /// [`retry_after`](RateLimited::retry_after) is then when this call's turn would come.
    #[inline(always)]
    pub fn try_acquire(&self) -> Result<Permit<'_, A>, RateLimited> {
        self.take_now(&Terms { cost: 1, patience: Patience::Now })
    }

    /// Takes `cost` permits now, or none of them.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`TooCostly`](crate::Reason::TooCostly) when
    /// that many could never be had.
    #[inline(always)]
    pub fn try_acquire_many(&self, cost: u32) -> Result<Permit<'_, A>, RateLimited> {
        self.take_now(&Terms { cost, patience: Patience::Now })
    }

    #[inline(always)]
    fn take_now(&self, terms: &Terms) -> Result<Permit<'_, A>, RateLimited> {
        self.shared.take_one_now(self.key, terms)
    }

    /// Takes one permit and waits for it in line; [`Acquire`] says how to ask for more, or to wait less.
    ///
    /// The permit counts as used the moment the future is ready. With
    /// [`Concurrency`](crate::Concurrency) and [`Serialized`](crate::Serialized), bind it for as
    /// long as the call runs (`let _permit = limiter.acquire().await?`): once it is dropped, the
    /// call counts as ended.
    #[inline]
    pub fn acquire(&self) -> Acquire<'_, A> {
        Acquire::new(&self.shared, self.key, None)
    }

    /// Waits in line for a permit that is used later, or goes back: see [`Reservation`].
    #[inline]
    pub fn reserve(&self) -> Acquire<'_, A, Reservation<'_, A>> {
        Acquire::new(&self.shared, self.key, None)
    }

    /// Returns what would happen to a call of this cost now, and takes nothing.
    pub fn peek(&self, cost: u32) -> Decision {
        self.shared.peek(self.key, cost)
    }

    /// Takes permits whether they are available or not: for a call that turned out to cost more
    /// than it asked for, or as a penalty. What is missing is a debt, and no call passes before it
    /// is paid off.
    ///
    /// ```
    /// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_second(100)?).capacity(50)?);
    /// limiter.try_acquire_many(10).expect("ten of fifty");
    /// limiter.charge(140)?; // it was a large response
    /// let wait = limiter.try_acquire().unwrap_err().retry_after().expect("once it is paid off");
    /// assert_eq!(wait.as_secs_f64().round(), 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TooManyKeys`](crate::Reason::TooManyKeys) when it is one of many keys, is not kept, and there is
    /// no room for it. Nothing is taken then.
    pub fn charge(&self, cost: u32) -> Result<(), RateLimited> {
        let charged = self.shared.charge(self.key, cost);
        charged.map_err(|reason| RateLimited::new(reason).with_cost(cost))
    }

    /// Changes the state as something says that happened elsewhere. It holds for those who wait, too:
    /// who would have to wait longer now than it accepted is refused.
    pub(crate) fn amend(
        &self,
        change: impl FnOnce(&A, &mut A::State, Nanos),
    ) -> Result<(), RateLimited> {
        self.shared.amend(self.key, change).map_err(RateLimited::new)
    }

    /// The same for one of many keys only if it is kept; another one equals new.
    pub(crate) fn amend_kept(&self, change: impl FnOnce(&A, &mut A::State, Nanos)) {
        self.shared.amend_kept(self.key, change);
    }
}

impl<A: Algorithm> Clone for RateLimiter<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), key: self.key, name: self.name.clone() }
    }
}

impl<A: Algorithm> Limiter for RateLimiter<A> {
    type Ticket = Ticket;
    type Hold = Kept<A>;
    type Wait = Waiting<A>;

    #[inline(always)]
    fn reserve<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<Ticket, Waiting<A>> {
        self.shared.ready(self.key, terms)
    }

    #[inline(always)]
    fn take<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<Kept<A>, Waiting<A>> {
        self.take_on(&terms, |used| Hold::keep(&self.shared, used))
    }

    #[inline(always)]
    fn take_noting<K: Key + ?Sized, N>(
        &self,
        _: &K,
        terms: Terms,
        note: impl FnOnce(&dyn Fn(&mut dyn FnMut(Standing<'_>))) -> N,
    ) -> Attempt<(Kept<A>, N), Waiting<A>> {
        self.take_on(&terms, |used| Hold::keep_noting(&self.shared, used, note))
    }

    fn keeps(&self, ticket: &Ticket) -> bool {
        self.shared.keeps(ticket)
    }

    #[inline(always)]
    fn commit(&self, ticket: Ticket) -> Result<Kept<A>, Perished> {
        Ok(Hold::keep(&self.shared, self.shared.commit(ticket)?))
    }

    fn give_back(&self, ticket: Ticket) {
        self.shared.give_back(ticket);
    }

    fn standing<K: Key + ?Sized>(
        &self,
        _: &K,
        decided: Result<&Kept<A>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.shared.standing(self.key, decided.err(), tell);
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        self.shared.policies(tell);
    }

    fn could_grant(&self, cost: u32) -> bool {
        self.peek(cost).outcome != Outcome::Never
    }
}

impl<A: Algorithm> Settles for RateLimiter<A> {
    type Account = Hold<A>;

    fn take_open<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<Hold<A>, Waiting<A>> {
        self.take_on(&terms, |used| Hold::open(&self.shared, used))
    }

    fn commit_open(&self, ticket: Ticket) -> Result<Hold<A>, Perished> {
        Ok(Hold::open(&self.shared, self.shared.commit(ticket)?))
    }

    fn standing_open<K: Key + ?Sized>(
        &self,
        _: &K,
        decided: Result<&Hold<A>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.shared.standing(self.key, decided.err(), tell);
    }
}

impl<A: Algorithm + fmt::Debug> fmt::Debug for RateLimiter<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
