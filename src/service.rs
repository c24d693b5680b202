//! The service that waits for a permit in `poll_ready`.

use crate::{
    future::ResponseFuture,
    limiter::{Limiter, Terms},
    reply::{Fail, Reply},
    seat::{Go, Seat, unready},
};
use std::{
    mem,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// A service whose calls are limited together; made by [`RateLimitLayer`](crate::RateLimitLayer).
///
/// `poll_ready` gets a permit first and readies the inner service last, so that nothing is held in
/// the inner service while the permit is waited for. `call` uses the permit. A service that is
/// dropped between the two gives the permit back, and a permit that was not used for one interval
/// goes to another caller that needs it: then `call` gets another one first, and waits for it or is
/// refused.
///
/// A [`LeakyBucket`](crate::LeakyBucket) that has a permit for each handle of its limiter, of which a
/// service is one, and sixteen besides, only promises `poll_ready` the permit, to spare a reading of the
/// clock. `call` takes it then. Until it does nothing is kept from others, and if they have taken all by
/// then, `call` does as if the permit had grown too old.
///
/// Clones share the limit; each has its own place in line. Several tasks that take turns with one
/// service lose wake-ups, as with any service: give each its clone.
///
/// # Panics
///
/// `call` panics when `poll_ready` was not ready before.
#[derive(Clone, Debug)]
pub struct RateLimit<S, L: Limiter, R = Fail> {
    inner: S,
    /// Empty until `poll_ready`; holds the permit from there to `call`.
    seat: Seat<L>,
    terms: Terms,
    reply: R,
}

impl<S, L: Limiter, R> RateLimit<S, L, R> {
    pub(crate) fn new(inner: S, limiter: L, terms: Terms, reply: R) -> Self {
        Self { inner, seat: Seat::new(limiter), terms, reply }
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service. Calling it is not limited.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner service out; a permit that was not used goes back.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Returns the limiter, shared with all clones.
    pub fn limiter(&self) -> &L {
        self.seat.limiter()
    }
}

impl<S, L, R, Request> Service<Request> for RateLimit<S, L, R>
where
    S: Service<Request> + Clone,
    L: Limiter,
    R: Reply<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Request, L, (), R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.seat.renounce() {
            unready(&mut self.inner);
        }
        // A refused call never reaches the inner service, which need not be ready for it.
        if !ready!(self.seat.poll_seated(cx, &(), &self.terms)) {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_ready(cx).map_err(|error| self.reply.inner(error))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        match self.seat.take(&(), &self.terms) {
            Go::Call(hold) => {
                let (limiter, reply) = (self.seat.limiter(), self.reply.clone());
                let note = reply.note(Ok(()), |tell| limiter.standing(&(), Ok(&hold), tell));
                ResponseFuture::calling(hold, note, &mut self.inner, request, reply)
            }
            Go::Refused(refusal) => {
                unready(&mut self.inner);
                ResponseFuture::refused(self.seat.limiter(), &(), refusal, self.reply.clone())
            }
            Go::Wait => self.wait(request),
        }
    }
}

impl<S, L: Limiter, R> RateLimit<S, L, R> {
    /// Lets a call wait outside of the service.
    #[cold]
    fn wait<Request>(&mut self, request: Request) -> ResponseFuture<S, Request, L, (), R>
    where
        S: Service<Request> + Clone,
        R: Reply<S::Response, S::Error>,
    {
        // The inner service was readied for this call, so it goes with it.
        let next = self.inner.clone();
        let inner = mem::replace(&mut self.inner, next);
        let seat = self.seat.split_off();
        ResponseFuture::waiting(seat, (), self.terms, inner, request, self.reply.clone())
    }
}
