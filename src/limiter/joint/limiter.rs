//! Several limits for everybody who asks.

use super::{JointBuilder, OnLimits, shared::Shared};
use crate::{
    algorithm::Algorithm,
    events,
    invalid::Invalid,
    key::Key,
    limiter::{LimitId, Standing},
};
use std::{any::type_name, fmt, sync::Arc};

/// Several limits, kept in memory, of which a call is subject to some or all: per second and per
/// day, per address and over all. They are taken together or not at all.
///
/// Each limit has its own algorithm and its own keys. A call names the limits it is
/// [subject to](Self::on), with a key and a cost for each. All of them are asked from one reading
/// of the clock; if one refuses, nothing is taken from any, and no caller ever sees some of them
/// taken and others not. A refusal names the binding limit: the first that refuses for good, else
/// one whose permits come back at an unknown time, else the one with the longest wait, which is the
/// wait of all and exact.
///
/// A call that waits gets in the lines of all its keys at once and is served when it is the first
/// in each of them and all limits grant. No call overtakes, calls with crossing keys cannot wait
/// for each other in a circle, and calls that have no key in common do not delay each other. While
/// it is held up by one key it holds up those behind it at its other keys: let calls that wait long
/// at a key of their own wait for it [first](crate::KeyedRateLimiter), and for what all share after
/// that.
///
/// For several rates of a single key take [`SlidingWindow::all`](crate::SlidingWindow::all), which
/// needs a log only. A handle: clones share the limits. It needs no runtime until a task waits.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
/// use tower_ratelimit::{JointLimiter, LeakyBucket, Quota, Rate, SlidingWindow};
///
/// let mut limits = JointLimiter::builder();
/// let per_address = limits.limit("per address", SlidingWindow::new(Rate::per_second(2)?))?;
/// let per_account = limits.limit("per account", Quota::new(100)?)?;
/// let over_all = limits.limit("over all", LeakyBucket::new(Rate::per_second(50)?))?;
/// let limiter = limits.build();
///
/// let address = Ipv4Addr::new(192, 0, 2, 7);
/// let call = limiter.on(per_address, &address).on(per_account, "alice").on(over_all, &());
/// call.try_acquire()?;
/// call.acquire().await?; // waits its turn at all three
/// let refused = call.try_acquire().unwrap_err();
/// assert_eq!(refused.limit(), Some("per address"));
/// assert_eq!(limiter.on(per_account, "alice").peek().decision().remaining, 97);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct JointLimiter(Arc<Shared>);

impl JointLimiter {
    /// Returns a [`JointBuilder`], to which limits are added one by one.
    pub fn builder() -> JointBuilder {
        JointBuilder::new()
    }

    pub(super) fn from_shared(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Describes a call that takes one permit of this limit for this key, and whatever is
    /// [added](OnLimits::on).
    pub fn on<K: Key + ?Sized>(&self, limit: LimitId, key: &K) -> OnLimits {
        OnLimits::new(Arc::clone(&self.0)).on(limit, key)
    }

    /// Describes a call that takes this many permits. At a cost of 0 it passes and takes nothing.
    pub fn on_many<K: Key + ?Sized>(&self, limit: LimitId, key: &K, cost: u32) -> OnLimits {
        OnLimits::new(Arc::clone(&self.0)).on_many(limit, key, cost)
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
        let standings = self.0.with(|board, _| board.policies(0..board.limits.len()));
        standings.tell(&self.0.names, None, tell);
    }

    /// Returns how many keys are kept now, of all limits.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.with(|board, _| board.limits.iter().map(|limit| limit.keys()).sum())
    }

    /// Forgets all keys whose state equals that of a new one, and returns how many those were.
    ///
    /// That also happens in passing, a few at a time, whenever a new key comes: call it only to
    /// have the memory back while no new keys come.
    pub fn evict(&self) -> usize {
        self.0.with(|board, now| board.limits.iter_mut().map(|limit| limit.evict(now)).sum())
    }

    /// Fails all waiting calls with [`Cancelled`](crate::Reason::Cancelled). Nothing else changes.
    pub fn cancel(&self) {
        self.log("cancel");
        self.0.with(|board, now| board.cancel(now));
    }

    /// Lets all calls pass until [`end_breach`](Self::end_breach), the waiting ones first and in
    /// order, and takes nothing for them. What was [closed](Self::close) stays closed.
    ///
    /// ```
    /// use tower_ratelimit::{JointLimiter, Quota};
    ///
    /// let mut limits = JointLimiter::builder();
    /// let trial = limits.limit("trial", Quota::new(1)?)?;
    /// let limiter = limits.build();
    /// let call = limiter.on(trial, "alice");
    /// limiter.breach(); // the first day is free
    /// for _ in 0..10 {
    ///     call.try_acquire().expect("everybody passes");
    /// }
    /// limiter.end_breach();
    /// call.try_acquire().expect("the first that counts");
    /// call.try_acquire().unwrap_err();
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn breach(&self) {
        self.log("breach");
        self.0.with(|board, now| board.breach(now));
    }

    /// Limits again after a [`breach`](Self::breach), by the states from before it. What was
    /// [closed](Self::close) stays closed.
    pub fn end_breach(&self) {
        self.log("end_breach");
        self.0.with(|board, now| board.end_breach(now));
    }

    /// Resets all limits to fresh state: waiting calls fail with
    /// [`Cancelled`](crate::Reason::Cancelled), and reserved permits become void. It ends a
    /// [`breach`](Self::breach), but does not reopen what was [closed](Self::close).
    ///
    /// A call that began before is not counted any more when it ends or is refunded.
    pub fn reset(&self) {
        self.log("reset");
        self.0.with(|board, now| board.reset(now));
    }

    /// Closes the limiter: waiting calls and all later ones fail with
    /// [`Closed`](crate::Reason::Closed). Closing it twice changes nothing.
    pub fn close(&self) {
        self.log("close");
        self.0.with(|board, now| board.close(now));
    }

    /// Replaces the algorithm of one of the limits, for waiting calls as well.
    ///
    /// What is outstanding stays outstanding and the last tick of a grid stays, as with
    /// [`KeyedRateLimiter::set_algorithm`](crate::KeyedRateLimiter::set_algorithm). A limit stays of
    /// the type it was built with; where its kind is to change, too, build it with an
    /// [`AnyAlgorithm`](crate::AnyAlgorithm).
    ///
    /// ```
    /// use tower_ratelimit::{JointLimiter, LeakyBucket, Rate, Strict};
    ///
    /// let mut limits = JointLimiter::builder();
    /// let rate = Rate::per_second(10)?;
    /// let pages = limits.limit("pages", LeakyBucket::new(rate).capacity(5)?)?;
    /// let limiter = limits.build();
    /// limiter.set_algorithm(pages, LeakyBucket::new(rate).capacity(50)?)?;
    /// assert_eq!(limiter.on(pages, "alice").peek().decision().limit, 50);
    /// let invalid = limiter.set_algorithm(pages, Strict::new(rate)).unwrap_err();
    /// assert_eq!(invalid.parameter(), "algorithm");
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the algorithm is of another type than the one the limit was built with, and
    /// when it is a limit of another limiter. Nothing changes then.
    pub fn set_algorithm<A: Algorithm>(&self, limit: LimitId, algorithm: A) -> Result<(), Invalid> {
        if limit.of != self.0.id {
            let of_another = "one of another limiter";
            return Err(Invalid::new("limit", of_another, "one of this limiter"));
        }
        events::control(Some(&self.0.names[limit.index]), "set_algorithm");
        let algorithm = Arc::new(algorithm);
        let set = self.0.with(|board, now| board.set_algorithm(limit.index, algorithm, now));
        set.map_err(|built_with| Invalid::new("algorithm", type_name::<A>(), built_with))
    }

    /// Lets the operator know.
    fn log(&self, action: &'static str) {
        self.names().for_each(|name| events::control(Some(name), action));
    }
}

impl fmt::Debug for JointLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JointLimiter").field(&self.0).finish()
    }
}
