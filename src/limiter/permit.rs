//! Permits that were granted.

use super::{
    Acquire, Attempt, Perished, Settle, Standing, Terms, Waiting,
    acquire::Granted,
    shared::Shared,
    used::{Ticket, Used},
};
use crate::{
    algorithm::{Algorithm, Permits},
    decision::Decision,
    error::RateLimited,
};
use std::{
    borrow::Cow,
    error, fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Permits that were granted and used.
///
/// Where calls hold their permits until they end ([`Concurrency`](crate::Concurrency),
/// [`Serialized`](crate::Serialized)), dropping it says that the call has ended; elsewhere dropping
/// it changes nothing. [`refund`](Self::refund) gives the permits back as if the call had
/// never been.
///
/// ```
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};
///
/// let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_hour(2)?).capacity(2)?);
/// let permit = limiter.try_acquire().expect("the first of two");
/// assert_eq!(permit.decision().remaining, 1);
/// permit.refund(); // the request was answered from the cache
/// assert_eq!(limiter.peek(0).remaining, 2);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
pub struct Permit<'a, A: Algorithm> {
    shared: Cow<'a, Arc<Shared<A>>>,
    /// Gone once it was refunded.
    used: Option<Used>,
}

impl<'a, A: Algorithm> Permit<'a, A> {
    #[inline(always)]
    pub(super) fn new(shared: &'a Arc<Shared<A>>, used: Used) -> Self {
        Self { shared: Cow::Borrowed(shared), used: Some(used) }
    }

    /// Returns how the limit stood when the permits were granted.
    ///
    /// # Panics
    ///
    /// Never: there is a decision as long as there is a permit.
    pub fn decision(&self) -> Decision {
        self.used.as_ref().expect("it is gone only while the permit is dropped").decision()
    }

    /// Returns how long the call stood in line.
    pub fn waited(&self) -> Duration {
        self.used.as_ref().map_or(Duration::ZERO, |used| used.waited().into())
    }

    /// Gives the permits back, to the next in line if there is one. What the limit has recovered
    /// by itself since does not come back twice.
    pub fn refund(mut self) {
        if let Some(used) = self.used.take() {
            self.shared.refund(&used);
        }
    }

    /// Renews the [lease](crate::Concurrency::lease) of a call that goes on: it begins anew.
    /// Where there are no leases this changes nothing.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`] when the lease had ended and others have the permits by now, or when its key was
    /// reset or forgotten. The call is no longer counted.
    pub fn renew(&mut self) -> Result<(), LeaseLost> {
        if !A::Permits::HELD {
            return Ok(());
        }
        match self.used.as_mut().is_none_or(|used| self.shared.renew(used)) {
            true => Ok(()),
            false => Err(LeaseLost),
        }
    }

    /// Turns it into a permit with a handle of its own to the limiter: for a task that outlives it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_ratelimit::{Concurrency, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Concurrency::new(1)?);
    /// let permit = limiter.acquire().await?.into_owned();
    /// let task = tokio::spawn(async move {
    ///     let _until_the_end = permit;
    /// });
    /// assert!(limiter.try_acquire().is_err());
    /// task.await?;
    /// assert!(limiter.try_acquire().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_owned(mut self) -> Permit<'static, A> {
        Permit { shared: Cow::Owned(Arc::clone(&self.shared)), used: self.used.take() }
    }
}

impl<A: Algorithm> Drop for Permit<'_, A> {
    #[inline]
    fn drop(&mut self) {
        if A::Permits::HELD
            && let Some(used) = self.used.take()
        {
            self.shared.end(&used);
        }
    }
}

impl<A: Algorithm> fmt::Debug for Permit<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = self.used.as_ref().map(Used::decision);
        f.debug_struct("Permit").field("decision", &decision).finish_non_exhaustive()
    }
}

/// The error for a lease that ended before its call, when others have the permits by now or its key
/// was reset or forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLost;

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lease has ended and others have the permits")
    }
}

impl error::Error for LeaseLost {}

/// What a service keeps while a call runs and drops when it has ended, where permits are
/// [held](crate::algorithm::Held), and where the cost is [settled](crate::limiter::Settles) afterwards.
pub struct Hold<A: Algorithm> {
    shared: Arc<Shared<A>>,
    used: Used,
}

/// What a service keeps while a call runs: a [`Hold`], or nothing.
pub(super) type Kept<A> = <<A as Algorithm>::Permits as Permits>::Kept<Hold<A>>;

impl<A: Algorithm> Hold<A> {
    #[inline(always)]
    pub(super) fn keep(shared: &Arc<Shared<A>>, used: Used) -> Kept<A> {
        A::Permits::keep(|| Self::open(shared, used))
    }

    /// Keeps it, and then notes how the limit stands: what is held ends also if `note` panics.
    #[inline(always)]
    pub(super) fn keep_noting<N>(
        shared: &Arc<Shared<A>>,
        used: Used,
        note: impl FnOnce(&dyn Fn(&mut dyn FnMut(Standing<'_>))) -> N,
    ) -> (Kept<A>, N) {
        let (key, look) = (used.key, used.look());
        let kept = Self::keep(shared, used);
        (kept, note(&|tell| shared.standing_with(key, look, tell)))
    }

    /// Keeps it in any case, for a call whose cost will be settled.
    pub(super) fn open(shared: &Arc<Shared<A>>, used: Used) -> Self {
        Self { shared: Arc::clone(shared), used }
    }
}

impl<A: Algorithm> Settle<u32> for Hold<A> {
    fn settle(&mut self, cost: u32) {
        self.shared.settle_cost(&mut self.used, cost);
    }
}

impl<A: Algorithm> Drop for Hold<A> {
    fn drop(&mut self) {
        if A::Permits::HELD {
            self.shared.end(&self.used);
        }
    }
}

impl<A: Algorithm> fmt::Debug for Hold<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("decision", &self.used.decision()).finish_non_exhaustive()
    }
}

/// Permits that were granted and not used yet. Dropped, they go back, to the next in line if there
/// is one.
///
/// They keep for one [shelf life](crate::Algorithm::shelf_life) of the limit. After that they go back
/// as soon as another caller needs them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};
///
/// let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_hour(1)?).capacity(1)?);
/// let reservation = limiter.reserve().await?;
/// drop(reservation); // the call does not take place
/// let reservation = limiter.reserve().await?;
/// reservation.commit().expect("it is not an hour old");
/// # Ok(())
/// # }
/// ```
#[must_use = "permits go back when their reservation is dropped"]
pub struct Reservation<'a, A: Algorithm> {
    shared: &'a Arc<Shared<A>>,
    /// Gone once the reservation was committed.
    ticket: Option<Ticket>,
}

impl<'a, A: Algorithm> Reservation<'a, A> {
    /// Uses the permits: the call takes place now.
    ///
    /// # Errors
    ///
    /// [`Perished`] when the permits were older than one
    /// [shelf life](crate::Algorithm::shelf_life). They went back.
    pub fn commit(mut self) -> Result<Permit<'a, A>, Perished> {
        let ticket = self.ticket.take().ok_or(Perished)?;
        Ok(Permit::new(self.shared, self.shared.commit(ticket)?))
    }
}

impl<A: Algorithm> Drop for Reservation<'_, A> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.give_back(ticket);
        }
    }
}

impl<A: Algorithm> fmt::Debug for Reservation<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<'a, A: Algorithm> Granted<'a, A> for Permit<'a, A> {
    #[inline(always)]
    fn ask(
        acquire: &Acquire<'a, A>,
        terms: &Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Self, Waiting<A>> {
        let shared = acquire.shared;
        shared.take(acquire.key, terms, waker, |used| Self::new(shared, used))
    }

    fn poll(acquire: &mut Acquire<'a, A>, cx: &mut Context<'_>) -> Poll<Result<Self, RateLimited>> {
        let shared = acquire.shared;
        acquire.in_line().poll_used(cx).map_ok(|used| Self::new(shared, used))
    }

    fn block(acquire: &Acquire<'a, A>, waiting: Pin<&mut Waiting<A>>) -> Result<Self, RateLimited> {
        waiting.block_used().map(|used| Self::new(acquire.shared, used))
    }
}

impl<'a, A: Algorithm> Granted<'a, A> for Reservation<'a, A> {
    #[inline(always)]
    fn ask(
        acquire: &Acquire<'a, A, Self>,
        terms: &Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Self, Waiting<A>> {
        let shared = acquire.shared;
        let reserved = shared.reserve(acquire.key, *terms, waker);
        reserved.map(|ticket| Self { shared, ticket: Some(ticket) })
    }

    fn poll(
        acquire: &mut Acquire<'a, A, Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self, RateLimited>> {
        let shared = acquire.shared;
        let ticket = acquire.in_line().poll(cx);
        ticket.map_ok(|ticket| Self { shared, ticket: Some(ticket) })
    }

    fn block(
        acquire: &Acquire<'a, A, Self>,
        waiting: Pin<&mut Waiting<A>>,
    ) -> Result<Self, RateLimited> {
        let shared = acquire.shared;
        waiting.block().map(|ticket| Self { shared, ticket: Some(ticket) })
    }
}
