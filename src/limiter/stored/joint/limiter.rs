//! Several limits that a store keeps, for everybody who asks.

use super::{super::failing::OnFailure, StoredJointBuilder, StoredOnLimits, shared::Shared};
use crate::{
    algorithm::AnyAlgorithm,
    events,
    invalid::Invalid,
    key::Key,
    limiter::{JointBuilder, LimitId, Standing, standing},
    store::{Store, StoreKey, StoredLimit},
};
use std::{
    fmt,
    sync::{Arc, PoisonError},
};

/// Several limits, kept by a [`Store`], of which a call is subject to some or all: per user and over all, per
/// second and per day. They are taken together or not at all, in one round trip.
///
/// What a [`JointLimiter`](crate::JointLimiter) is to a [`RateLimiter`](crate::RateLimiter), it is to a
/// [`StoredLimiter`](crate::StoredLimiter): the limits outlive the process, and many processes share them. A limit
/// is known to the store by its name; a `StoredLimiter` of that name is the same limit. If one
/// refuses, nothing is taken from any, and no caller ever sees some of them taken and others not. A
/// refusal names the binding limit, and its wait is the longest of all.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{LeakyBucket, OnFailure, Quota, Rate, StoredJointLimiter, store::MemoryStore};
///
/// let store = MemoryStore::default(); // or a database
/// let mut limits = StoredJointLimiter::builder(store, OnFailure::Refuse);
/// let per_user = limits.limit("per user", Quota::new(2)?)?;
/// let over_all = limits.limit("over all", LeakyBucket::new(Rate::per_second(500)?))?;
/// let limiter = limits.build()?;
///
/// let call = limiter.on(per_user, "alice").on(over_all, &());
/// call.try_acquire().await?;
/// call.acquire().await?;
/// let refused = call.try_acquire().await.unwrap_err();
/// assert_eq!(refused.limit(), Some("per user"));
/// # Ok(())
/// # }
/// ```
///
/// # In what order
///
/// A call of a [`StoredLimiter`](crate::StoredLimiter) reserves its turn in the store. These do
/// not: it is unknown when the permits of all limits are there together. A call that has to wait
/// asks again at the instant that the store named, and gets in a line of this process at each key
/// that held it up. Only the first in all its lines asks:
///
/// - Within a process no call overtakes at a key that has held it up. A call that waits at one key
///   does not hold up calls at another one, unless it was held up there, too.
/// - Across processes there is no order: the first call that asks once the permits are there gets
///   them. A call that needs much may wait as long as others come for little.
/// - A call that is not polled is passed over when it does not ask in time.
///
/// So calls that wait for one key are let go one round trip after the other at the fastest, in each
/// process. For a single limit take a [`StoredLimiter`](crate::StoredLimiter).
///
/// # Where keys lie
///
/// A store of several servers cannot take in one step what lies on different ones. In a Redis Cluster keys of the same
/// [tag](Self::tagged) lie together. A call whose keys do not is refused with
/// [`NotTogether`](crate::Reason::NotTogether) before anything is sent, whatever [`OnFailure`]
/// says.
///
/// # When the store does not answer
///
/// That is as with a [`StoredLimiter`](crate::StoredLimiter). The share of a process is a
/// [`JointBuilder`] with a limit of the same name for each.
pub struct StoredJointLimiter<S: Store<AnyAlgorithm>>(pub(super) Arc<Shared<S>>);

impl<S: Store<AnyAlgorithm>> StoredJointLimiter<S> {
    /// Returns a [`StoredJointBuilder`], to which limits are added one by one.
    pub fn builder(store: S, on_failure: OnFailure<JointBuilder>) -> StoredJointBuilder<S> {
        StoredJointBuilder::new(store, on_failure)
    }

    /// Describes a call that takes one permit of this limit for this key, and whatever is
    /// [added](StoredOnLimits::on).
    pub fn on<K: Key + ?Sized>(&self, limit: LimitId, key: &K) -> StoredOnLimits<S> {
        self.on_many(limit, key, 1)
    }

    /// Describes a call that takes this many permits. At a cost of 0 it passes and takes nothing.
    pub fn on_many<K: Key + ?Sized>(
        &self,
        limit: LimitId,
        key: &K,
        cost: u32,
    ) -> StoredOnLimits<S> {
        StoredOnLimits::new(Arc::clone(&self.0), None).on_many(limit, key, cost)
    }

    /// Describes a call whose keys share this tag and so lie in one place of the store; its limits
    /// are added one by one. For a Redis Cluster, where limits on different keys could not be taken
    /// together otherwise.
    ///
    /// The tag is part of each key: a limit on the key `()` is one over all of this tag. What is to hold over
    /// everything has a tag that is always the same, and then all lies on one server.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_ratelimit::{OnFailure, Quota, StoredJointLimiter, store::MemoryStore};
    /// # let mut limits = StoredJointLimiter::builder(MemoryStore::default(), OnFailure::Refuse);
    /// let per_user = limits.limit("per user", Quota::new(10)?)?;
    /// let per_tenant = limits.limit("per tenant", Quota::new(100)?)?;
    /// let limiter = limits.build()?;
    /// limiter.tagged("acme").on(per_user, "alice").on(per_tenant, &()).try_acquire().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tagged<K: Key + ?Sized>(&self, tag: &K) -> StoredOnLimits<S> {
        StoredOnLimits::new(Arc::clone(&self.0), Some(StoreKey::new(tag)))
    }

    /// Returns the limit of this name, where only the limiter is at hand.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<LimitId> {
        let index = self.0.names.iter().position(|other| **other == *name)?;
        Some(LimitId { of: self.0.id, index })
    }

    /// Returns the names of the limits, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(|name| &**name)
    }

    /// Reports what its limits publish about themselves, in the order in which they were added.
    pub fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        for (index, name) in self.0.names.iter().enumerate() {
            let algorithm = &self.0.limit(index).algorithm;
            standing::tell(Some(name), algorithm, None, &mut |rate| tell(rate));
        }
    }

    /// Fails all waiting calls of this process with [`Cancelled`](crate::Reason::Cancelled).
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

    /// Asks the store again after a [`breach`](Self::breach). What was [closed](Self::close) stays closed.
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

    /// Replaces the algorithm of one of the limits in this process, for waiting calls as well;
    /// other processes use theirs until it is replaced there as well. What is outstanding is taken over
    /// as by [`StoredLimiter::set_algorithm`](crate::StoredLimiter::set_algorithm).
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the store cannot keep to it, and when it is a limit of another limiter. Nothing changes
    /// then.
    pub fn set_algorithm(
        &self,
        limit: LimitId,
        algorithm: impl Into<AnyAlgorithm>,
    ) -> Result<(), Invalid> {
        if limit.of != self.0.id {
            let of_another = "one of another limiter";
            return Err(Invalid::new("limit", of_another, "one of this limiter"));
        }
        let algorithm = self.0.inquiry.pipeline.store().keep_to(algorithm.into())?;
        let name = Arc::clone(&self.0.names[limit.index]);
        events::control(Some(&name), "set_algorithm");
        let lock = &self.0.limits[limit.index];
        let changed = Arc::new(StoredLimit { name: Arc::clone(&name), algorithm });
        *lock.write().unwrap_or_else(PoisonError::into_inner) = changed;
        self.0.inquiry.known().lines.call_all(&name);
        Ok(())
    }

    /// Lets the operator know.
    fn log(&self, action: &'static str) {
        self.names().for_each(|name| events::control(Some(name), action));
    }
}

impl<S: Store<AnyAlgorithm>> Clone for StoredJointLimiter<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Store<AnyAlgorithm>> fmt::Debug for StoredJointLimiter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
