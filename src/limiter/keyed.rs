//! A limit for each key.

use super::{
    Acquire, Attempt, Builder, Hold, KeyedLimiter, Limiter, ManyLimits, Patience, Perished, Permit,
    RateLimiter, Settles, Standing, Terms, Ticket, Waiting, permit::Kept, shared::Shared, standing,
};
use crate::{algorithm::Algorithm, error::RateLimited, key::Key, store::table::KeptKey};
use std::{fmt, sync::Arc};

/// One limit for each key, kept in memory: for each address, API key, host.
///
/// A handle: clones share the limits. Waiting for one key never delays another. Memory is
/// bounded: keys whose state equals that of a new one are forgotten in passing, and at most
/// [`max_keys`](Builder::max_keys) are kept. Of a key only a seeded 64-bit hash is kept: with a
/// million keys the chance that any two share a limit is one in 37 million for each eight bytes
/// that a key has.
///
/// ```
/// use tower_ratelimit::{KeyedRateLimiter, Rate, SlidingWindow};
///
/// let limiter = KeyedRateLimiter::new(SlidingWindow::new(Rate::per_minute(1)?));
/// assert!(limiter.try_acquire("alice").is_ok());
/// assert!(limiter.try_acquire("alice").is_err());
/// assert!(limiter.try_acquire("bob").is_ok());
/// assert_eq!(limiter.key("bob").peek(1).remaining, 0);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
pub struct KeyedRateLimiter<A: Algorithm>(Arc<Shared<A>>);

impl<A: Algorithm> KeyedRateLimiter<A> {
    /// Creates a limiter with fresh state: each key is new.
    #[must_use]
    pub fn new(algorithm: A) -> Self {
        Self::builder(algorithm).build()
    }

    /// Returns a [`Builder`], to set a name, a clock, a bound on the lines or on the number of
    /// keys.
    pub fn builder(algorithm: A) -> Builder<A, ManyLimits> {
        Builder::keyed(algorithm)
    }

    pub(super) fn shared(&self) -> &Shared<A> {
        &self.0
    }

    pub(super) fn from_shared(shared: Arc<Shared<A>>) -> Self {
        Self(shared)
    }

    /// Uses permits up, if they are there, for a call that takes place elsewhere. It is not
    /// counted, and nobody is refused.
    pub(super) fn use_up<K: Key + ?Sized>(&self, key: &K, cost: u32) {
        if cost > 0 {
            let (mut key, now) = (self.0.lanes.fingerprint(key), self.0.now());
            let _ = self.0.lanes.with(&mut key, now, |rules, lane| lane.use_up(rules, now, cost));
        }
    }

    /// Takes one permit of this key now, or not at all; [`key`](Self::key) has all other methods.
    ///
    /// It never waits, and never fails because another caller is asking at the same time.
    ///
    /// # Errors
    ///
    /// [`RateLimited`] when there is no permit, or others stand in line for that key, and
    /// [`TooManyKeys`](crate::Reason::TooManyKeys) as [`at_capacity`](Builder::at_capacity) says.
    #[inline]
    pub fn try_acquire<K: Key + ?Sized>(&self, key: &K) -> Result<Permit<'_, A>, RateLimited> {
        let key = self.0.lanes.fingerprint(key);
        self.0.take_now(key, &Terms { cost: 1, patience: Patience::Now })
    }

    /// Takes `cost` permits of this key now, or none of them.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and [`TooCostly`](crate::Reason::TooCostly) when
    /// that many could never be had.
    #[inline]
    pub fn try_acquire_many<K: Key + ?Sized>(
        &self,
        key: &K,
        cost: u32,
    ) -> Result<Permit<'_, A>, RateLimited> {
        let key = self.0.lanes.fingerprint(key);
        self.0.take_now(key, &Terms { cost, patience: Patience::Now })
    }

    /// Takes one permit of this key and waits for it in the line of the key; [`Acquire`] says how to ask
    /// for more, or to wait less.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use tower_ratelimit::{Concurrency, KeyedRateLimiter};
    ///
    /// let limiter = KeyedRateLimiter::new(Concurrency::new(1)?);
    /// let permit = limiter.acquire("alice").await?;
    /// let short = Duration::from_millis(10);
    /// limiter.acquire("alice").timeout(short).await.unwrap_err();
    /// limiter.acquire("bob").timeout(short).await?;
    /// drop(permit); // the call has ended
    /// limiter.acquire("alice").timeout(short).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn acquire<K: Key + ?Sized>(&self, key: &K) -> Acquire<'_, A> {
        let (key, name) = self.0.lanes.named(key);
        Acquire::new(&self.0, key, name)
    }

    /// Returns the limit of this key, as a limiter of its own. That alone keeps nothing for the
    /// key.
    #[must_use]
    pub fn key<K: Key + ?Sized>(&self, key: &K) -> RateLimiter<A> {
        let (key, name) = self.0.lanes.named(key);
        RateLimiter::from_shared(Arc::clone(&self.0), key, name)
    }

    /// Returns how many keys are kept now.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.lanes.len()
    }

    /// Returns the keys that are kept now, in no order; `None` unless the limiter was built to
    /// [list](Builder::list_keys) them, as otherwise it only knows their hashes.
    ///
    /// ```
    /// use tower_ratelimit::{KeyedRateLimiter, Rate, Strict};
    ///
    /// let limiter = KeyedRateLimiter::builder(Strict::new(Rate::per_hour(1)?)).list_keys().build();
    /// limiter.key("alice").try_acquire().expect("the first call");
    /// let kept = limiter.list().expect("it was built to list them");
    /// assert_eq!(kept[0].text(), Some("alice"));
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn list(&self) -> Option<Vec<KeptKey>> {
        self.0.lanes.names()
    }

    /// Overrides the algorithm for one key, such as a customer who pays for more, or is to have
    /// less. It holds for calls that wait for that key as well, is not changed by
    /// [`set_algorithm`](Self::set_algorithm), and stays until the key is [forgotten](Self::forget):
    /// such a key is always kept.
    ///
    /// ```
    /// use tower_ratelimit::{KeyedRateLimiter, LeakyBucket, Rate};
    ///
    /// let rate = Rate::per_second(10)?;
    /// let limiter = KeyedRateLimiter::new(LeakyBucket::new(rate).capacity(1)?);
    /// limiter.set_algorithm_for("alice", LeakyBucket::new(rate).capacity(100)?)?;
    /// assert_eq!(limiter.key("alice").peek(0).limit, 100);
    /// assert_eq!(limiter.key("bob").peek(0).limit, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TooManyKeys`](crate::Reason::TooManyKeys) when the maximum number of keys is in use.
    pub fn set_algorithm_for<K: Key + ?Sized>(
        &self,
        key: &K,
        algorithm: A,
    ) -> Result<(), RateLimited> {
        let set = self.0.set_algorithm_of(self.0.lanes.fingerprint(key), algorithm);
        set.map_err(RateLimited::new)
    }

    /// Forgets one key, its state and the algorithm of its own: calls that wait for it fail with
    /// [`Cancelled`](crate::Reason::Cancelled), and its next call is that of a new key.
    pub fn forget<K: Key + ?Sized>(&self, key: &K) {
        self.0.forget_key(self.0.lanes.fingerprint(key));
    }

    /// Forgets all keys whose state equals that of a new one, and returns how many those were.
    ///
    /// That also happens in passing, a few at a time, whenever a new key comes: call it only to
    /// have the memory back while no new keys come. Nothing runs in the background unless you let
    /// it:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use tower_ratelimit::{KeyedRateLimiter, Rate, Strict};
    ///
    /// let limiter = KeyedRateLimiter::new(Strict::new(Rate::per_second(1)?));
    /// let sweeping = limiter.clone();
    /// let task = tokio::spawn(async move {
    ///     let mut minutes = tokio::time::interval(Duration::from_secs(60));
    ///     loop {
    ///         minutes.tick().await;
    ///         sweeping.evict();
    ///     }
    /// });
    /// limiter.key("alice").try_acquire()?;
    /// # tokio::time::sleep(Duration::from_secs(61)).await;
    /// # assert_eq!(limiter.keys(), 0);
    /// # task.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub fn evict(&self) -> usize {
        self.0.lanes.evict(self.0.now())
    }
}

impl<A: Algorithm> Clone for KeyedRateLimiter<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Algorithm> Limiter for KeyedRateLimiter<A> {
    type Ticket = Ticket;
    type Hold = Kept<A>;
    type Wait = Waiting<A>;

    #[inline(always)]
    fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Ticket, Waiting<A>> {
        self.0.reserve(self.0.lanes.fingerprint(key), terms, None)
    }

    #[inline(always)]
    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Kept<A>, Waiting<A>> {
        let key = self.0.lanes.fingerprint(key);
        self.0.take(key, &terms, None, |used| Hold::keep(&self.0, used))
    }

    #[inline(always)]
    fn take_noting<K: Key + ?Sized, N>(
        &self,
        key: &K,
        terms: Terms,
        note: impl FnOnce(&dyn Fn(&mut dyn FnMut(Standing<'_>))) -> N,
    ) -> Attempt<(Kept<A>, N), Waiting<A>> {
        let key = self.0.lanes.fingerprint(key);
        self.0.take(key, &terms, None, |used| Hold::keep_noting(&self.0, used, note))
    }

    fn keeps(&self, ticket: &Ticket) -> bool {
        self.0.keeps(ticket)
    }

    #[inline(always)]
    fn commit(&self, ticket: Ticket) -> Result<Kept<A>, Perished> {
        Ok(Hold::keep(&self.0, self.0.commit(ticket)?))
    }

    fn give_back(&self, ticket: Ticket) {
        self.0.give_back(ticket);
    }

    fn standing<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&Kept<A>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.0.standing(self.0.lanes.fingerprint(key), decided.err(), tell);
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        self.0.policies(tell);
    }

    fn could_grant(&self, cost: u32) -> bool {
        standing::could_grant(&*self.0.lanes.rules().algorithm, cost)
    }
}

impl<A: Algorithm> KeyedLimiter for KeyedRateLimiter<A> {}

impl<A: Algorithm> Settles for KeyedRateLimiter<A> {
    type Account = Hold<A>;

    fn take_open<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Hold<A>, Waiting<A>> {
        let key = self.0.lanes.fingerprint(key);
        self.0.take(key, &terms, None, |used| Hold::open(&self.0, used))
    }

    fn commit_open(&self, ticket: Ticket) -> Result<Hold<A>, Perished> {
        Ok(Hold::open(&self.0, self.0.commit(ticket)?))
    }

    fn standing_open<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&Hold<A>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.0.standing(self.0.lanes.fingerprint(key), decided.err(), tell);
    }
}

impl<A: Algorithm + fmt::Debug> fmt::Debug for KeyedRateLimiter<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
