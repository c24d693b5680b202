//! Limits that a store keeps.

use super::{
    super::{Attempt, KeyedLimiter, Limiter, Perished, Settles, Standing, Terms, standing},
    StoredBuilder, StoredHold, StoredKey, StoredTicket, StoredWaiting,
    failing::OnFailure,
    shared::Shared,
};
use crate::{
    algorithm::Algorithm,
    error::RateLimited,
    events,
    invalid::Invalid,
    key::Key,
    store::{Store, StoreKey, StoredLimit},
};
use std::{
    fmt,
    sync::{Arc, PoisonError},
};

/// One limit for each key, kept by a [`Store`]: the limits outlive the process, and many processes
/// share them.
///
/// A handle: clones share everything, and so do limiters of the same name over the same store, in
/// this process and in others. It stands wherever a [`KeyedRateLimiter`](crate::KeyedRateLimiter)
/// may: in layers, routes and clients. For a limit over all calls, use the key `()`.
///
/// Asks of many callers travel together: while the store has as many batches as it may be asked
/// [at once](Store::batches_at_once), the next one gathers. A call that has to wait is told the instant of its turn by the one answer, in the order in which asks
/// come to the store, and sleeps until then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{LeakyBucket, OnFailure, Rate, StoredLimiter, store::MemoryStore};
///
/// let bucket = LeakyBucket::new(Rate::per_second(10)?).capacity(2)?;
/// let store = MemoryStore::default(); // or a database
/// let logins = StoredLimiter::builder("logins", store, bucket, OnFailure::Refuse).build()?;
///
/// let alice = logins.key("alice");
/// alice.try_acquire().await?;
/// alice.acquire().await?;
/// let refused = alice.try_acquire().await.unwrap_err();
/// assert!(refused.retry_after().is_some());
/// # Ok(())
/// # }
/// ```
///
/// In a layer:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_ratelimit::{
///     OnFailure, Rate, RateLimitLayer, SlidingWindow, StoredLimiter, store::MemoryStore,
/// };
/// # let greet = service_fn(async |name: String| Ok::<_, std::io::Error>(name.len()));
///
/// let (store, limit) = (MemoryStore::default(), SlidingWindow::new(Rate::per_minute(1)?));
/// let limiter = StoredLimiter::builder("greetings", store, limit, OnFailure::Refuse).build()?;
/// let layer = RateLimitLayer::per_key(|name: &String| name.clone(), limiter);
/// let mut service = ServiceBuilder::new().layer(layer).service(greet);
///
/// service.ready().await?.call("alice".to_owned()).await?;
/// assert!(service.ready().await?.call("alice".to_owned()).await.is_err());
/// service.ready().await?.call("bob".to_owned()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # When the store does not answer
///
/// Every decision has a [deadline](StoredBuilder::deadline). When it is missed, and whenever the
/// store fails, what [`OnFailure`] says happens. After several consecutive failures a [circuit
/// breaker](StoredBuilder::breaker) opens for a while, so that callers do not wait
/// for nothing. An ask whose answer was lost may have taken permits; one whose answer comes late
/// gives them back. What goes back while the store does not answer is lost, and so is what a process holds
/// that is killed: give permits that calls hold a lease, with [`Concurrency`](crate::Concurrency::lease) and
/// with [`Serialized`](crate::Serialized::lease). Without one nobody may ever have them again.
///
/// # When a call is not polled
///
/// A call that was granted permits and is not polled, and a service that is ready and not called,
/// do not delay calls that ask for permits of the next slot. Permits that are held until calls end
/// stay with them until they are dropped or their lease ends.
///
/// # When exactly calls are let go
///
/// Slots are those of the store. A call is let go as much later as the answer took to come, which
/// is not the same for all of them: what [`Strict`](crate::Strict) promises holds to within that.
pub struct StoredLimiter<A: Algorithm, S: Store<A>>(pub(super) Arc<Shared<A, S>>);

impl<A: Algorithm, S: Store<A>> StoredLimiter<A, S> {
    /// Returns a builder for limits of this name, by which the store and other processes know them.
    ///
    /// [`StoredBuilder`] has the settings and an example.
    pub fn builder(
        name: impl Into<Arc<str>>,
        store: S,
        algorithm: A,
        on_failure: OnFailure<A>,
    ) -> StoredBuilder<A, S> {
        StoredBuilder::new(name.into(), store, algorithm, on_failure)
    }

    /// Returns the limit of this key.
    #[must_use]
    pub fn key<K: Key + ?Sized>(&self, key: &K) -> StoredKey<A, S> {
        StoredKey::new(Arc::clone(&self.0), StoreKey::new(key))
    }

    /// Fails all waiting calls of this process with [`Cancelled`](crate::Reason::Cancelled), and
    /// what they had reserved goes back.
    pub fn cancel(&self) {
        self.log("cancel");
        self.0.reins.cancel();
    }

    /// Lets all calls of this process pass until [`end_breach`](Self::end_breach), the waiting ones
    /// first, without asking the store.
    pub fn breach(&self) {
        self.log("breach");
        self.0.reins.breach();
    }

    /// Asks the store again after a [`breach`](Self::breach). What was [closed](Self::close) stays
    /// closed.
    pub fn end_breach(&self) {
        self.log("end_breach");
        self.0.reins.end_breach();
    }

    /// Closes the limiter in this process: waiting calls and all later ones fail with
    /// [`Closed`](crate::Reason::Closed). Closing it twice changes nothing. The connection to the
    /// store is released with the last handle.
    pub fn close(&self) {
        self.log("close");
        self.0.reins.close();
    }

    /// Replaces the algorithm in this process. Waiting calls keep their turns; other processes use
    /// theirs until it is replaced there as well.
    ///
    /// What is outstanding of a key stays outstanding when the key is next asked about, and is then
    /// counted in the new intervals. What calls could not have taken of the new limit is
    /// [cut off](crate::Algorithm::adopt): a key that had used up 1,000 an hour and is asked by a bucket
    /// of ten an hour finds it full, and does not wait for a hundred hours. Debts
    /// made by charges stay for as long as the limit stays the same.
    ///
    /// An algorithm of another kind begins anew at each key, as what the other one kept means nothing to it. While
    /// processes ask about a key by limits of two kinds, each time the other one asks it begins anew
    /// as well: they should have two names. What was granted by one kind does not go back to the other.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the store cannot keep to it.
    pub fn set_algorithm(&self, algorithm: A) -> Result<(), Invalid> {
        let algorithm = self.0.inquiry.pipeline.store().keep_to(algorithm)?;
        self.log("set_algorithm");
        let mut limit = self.0.limit.write().unwrap_or_else(PoisonError::into_inner);
        *limit = Arc::new(StoredLimit { name: Arc::clone(&limit.name), algorithm });
        drop(limit);
        if let Some(refused) = &self.0.inquiry.known().refused {
            refused.forget_all();
        }
        Ok(())
    }

    /// Returns the limit as the store keeps it, with its algorithm [rounded](Store::keep_to) as
    /// needed.
    #[must_use]
    pub fn limit(&self) -> Arc<StoredLimit<A>> {
        self.0.limit()
    }

    fn wait<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> StoredWaiting<A> {
        let (shared, key) = (Arc::clone(&self.0), StoreKey::new(key));
        StoredWaiting::new(async move { shared.reserve(&key, &terms).await })
    }

    /// Permits that are to be used now, unless they are too old: then they go back.
    fn if_kept(&self, ticket: StoredTicket<A>) -> Result<StoredTicket<A>, Perished> {
        match self.keeps(&ticket) {
            true => Ok(ticket),
            false => {
                self.give_back(ticket);
                Err(Perished)
            }
        }
    }

    fn log(&self, action: &'static str) {
        events::control(Some(&self.0.limit().name), action);
    }
}

impl<A: Algorithm, S: Store<A>> Limiter for StoredLimiter<A, S> {
    type Ticket = StoredTicket<A>;
    type Hold = StoredHold<A, S>;
    type Wait = StoredWaiting<A>;

    fn reserve<K: Key + ?Sized>(
        &self,
        key: &K,
        terms: Terms,
    ) -> Attempt<StoredTicket<A>, StoredWaiting<A>> {
        Attempt::Later(self.wait(key, terms))
    }

    fn take<K: Key + ?Sized>(
        &self,
        key: &K,
        terms: Terms,
    ) -> Attempt<StoredHold<A, S>, StoredWaiting<A>> {
        Attempt::Later(self.wait(key, terms))
    }

    fn keeps(&self, ticket: &StoredTicket<A>) -> bool {
        self.0.keeps(ticket)
    }

    fn commit(&self, ticket: StoredTicket<A>) -> Result<StoredHold<A, S>, Perished> {
        StoredHold::new(Arc::clone(&self.0), self.if_kept(ticket)?)
    }

    fn give_back(&self, ticket: StoredTicket<A>) {
        self.0.give_back(ticket);
    }

    fn standing<K: Key + ?Sized>(
        &self,
        _: &K,
        decided: Result<&StoredHold<A, S>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        let decision = match decided {
            Ok(hold) => hold.decision(),
            Err(refusal) => refusal.answers().first().copied(),
        };
        let limit = self.0.limit();
        standing::tell(Some(&limit.name), &limit.algorithm, decision, &mut |rate| tell(rate));
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        let limit = self.0.limit();
        standing::tell(Some(&limit.name), &limit.algorithm, None, &mut |rate| tell(rate));
    }

    fn could_grant(&self, cost: u32) -> bool {
        standing::could_grant(&self.0.limit().algorithm, cost)
    }
}

impl<A: Algorithm, S: Store<A>> KeyedLimiter for StoredLimiter<A, S> {}

impl<A: Algorithm, S: Store<A>> Settles for StoredLimiter<A, S> {
    type Account = StoredHold<A, S>;

    fn take_open<K: Key + ?Sized>(
        &self,
        key: &K,
        terms: Terms,
    ) -> Attempt<StoredHold<A, S>, StoredWaiting<A>> {
        Attempt::Later(self.wait(key, terms))
    }

    fn commit_open(&self, ticket: StoredTicket<A>) -> Result<StoredHold<A, S>, Perished> {
        self.commit(ticket)
    }

    fn standing_open<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&StoredHold<A, S>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.standing(key, decided, tell);
    }
}

impl<A: Algorithm, S: Store<A>> Clone for StoredLimiter<A, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Algorithm + fmt::Debug, S: Store<A>> fmt::Debug for StoredLimiter<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
