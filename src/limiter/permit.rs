//! Permits that were granted.

use super::{
    Attempt, Limiter, Perished, RateLimiter, Terms, Waiting,
    acquire::Granted,
    shared::{Ticket, Used},
};
use crate::{algorithm::Algorithm, decision::Decision, error::RateLimited};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// Permits that were granted and used.
///
/// Dropping it changes nothing; [`refund`](Self::refund) gives the permits back.
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
    limiter: &'a RateLimiter<A>,
    used: Used,
}

impl<A: Algorithm> Permit<'_, A> {
    /// How the limit stood when the permits were granted.
    pub fn decision(&self) -> Decision {
        self.used.decision
    }

    /// Gives the permits back, to the next in line if there is one. What the limit has recovered
    /// by itself since does not come back twice.
    pub fn refund(self) {
        self.limiter.shared().refund(self.used);
    }
}

impl<A: Algorithm> fmt::Debug for Permit<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("decision", &self.used.decision).finish_non_exhaustive()
    }
}

/// Permits that were granted and not used yet. Dropped, they go back, to the next in line if there
/// is one.
///
/// They keep for one [interval](crate::Algorithm::interval). After that they go back as soon as
/// somebody else needs them.
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
    limiter: &'a RateLimiter<A>,
    /// Gone once the reservation was committed.
    ticket: Option<Ticket>,
}

impl<'a, A: Algorithm> Reservation<'a, A> {
    /// The call takes place now.
    ///
    /// # Errors
    ///
    /// [`Perished`] when the permits were older than one interval. They went back.
    pub fn commit(mut self) -> Result<Permit<'a, A>, Perished> {
        let ticket = self.ticket.take().ok_or(Perished)?;
        let key = ticket.key;
        let decision = self.limiter.shared().commit(ticket)?;
        Ok(Permit { limiter: self.limiter, used: Used { key, decision } })
    }
}

impl<A: Algorithm> Drop for Reservation<'_, A> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.limiter.give_back(ticket);
        }
    }
}

impl<A: Algorithm> fmt::Debug for Reservation<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<'a, A: Algorithm> Granted<'a, A> for Permit<'a, A> {
    #[inline]
    fn ask(limiter: &'a RateLimiter<A>, terms: Terms) -> Attempt<Self, Waiting<A>> {
        limiter.take_on(terms).map(|used| Self { limiter, used })
    }

    fn poll(
        limiter: &'a RateLimiter<A>,
        waiting: &mut Waiting<A>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self, RateLimited>> {
        waiting.poll_used(cx).map_ok(|used| Self { limiter, used })
    }
}

impl<'a, A: Algorithm> Granted<'a, A> for Reservation<'a, A> {
    #[inline]
    fn ask(limiter: &'a RateLimiter<A>, terms: Terms) -> Attempt<Self, Waiting<A>> {
        limiter.reserve_on(terms).map(|ticket| Self { limiter, ticket: Some(ticket) })
    }

    fn poll(
        limiter: &'a RateLimiter<A>,
        waiting: &mut Waiting<A>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self, RateLimited>> {
        let ticket = Pin::new(waiting).poll(cx);
        ticket.map_ok(|ticket| Self { limiter, ticket: Some(ticket) })
    }
}
