//! The response of a limited call.

use crate::{
    error::{RateLimited, Reason},
    events,
    key::Key,
    limiter::{Attempt, Limiter, Terms},
    per_key::MissingKey,
    refusal::OnRefusal,
    seat::{Go, Seat, unready},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;

pin_project! {
    /// The response of a [`RateLimit`](crate::RateLimit) or a [`PerKey`](crate::PerKey) service.
    pub struct ResponseFuture<S: Service<Request>, Request, L: Limiter, K, R> {
        #[pin]
        state: State<S, Request, L, K>,
        on_refusal: R,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>, Request, L: Limiter, K> {
        // The hold is gone once there was a response.
        Calling { #[pin] response: S::Future, hold: Option<L::Hold> },
        Refused { refusal: Option<RateLimited> },
        // In a box, so that the usual future stays small.
        Waiting { call: Box<Call<S, Request, L, K>> },
    }
}

/// A call that waits for its permit outside of its service.
struct Call<S, Request, L: Limiter, K> {
    seat: Seat<L>,
    key: K,
    terms: Terms,
    inner: S,
    /// Gone once the inner service was called.
    request: Option<Request>,
}

impl<S: Service<Request>, Request, L: Limiter, K, R> ResponseFuture<S, Request, L, K, R> {
    #[inline]
    pub(crate) fn calling(response: S::Future, hold: L::Hold, on_refusal: R) -> Self {
        let state = State::Calling { response, hold: Some(hold) };
        Self { state, on_refusal }
    }

    pub(crate) fn refused(refusal: RateLimited, on_refusal: R) -> Self {
        let refusal = Some(refusal);
        let state = State::Refused { refusal };
        Self { state, on_refusal }
    }

    /// Calls `inner` once `seat` has a permit and the service is ready.
    pub(crate) fn waiting(
        seat: Seat<L>,
        key: K,
        terms: Terms,
        inner: S,
        request: Request,
        on_refusal: R,
    ) -> Self {
        let request = Some(request);
        let call = Box::new(Call { seat, key, terms, inner, request });
        let state = State::Waiting { call };
        Self { state, on_refusal }
    }
}

impl<S, Request, L, K, R> ResponseFuture<S, Request, L, K, R>
where
    S: Service<Request> + Clone,
    L: Limiter,
    K: Key,
{
    /// Asks for permits in `call`: calls `inner` if they are there, and otherwise lets go of what
    /// it has reserved.
    #[inline(always)]
    pub(crate) fn ask(
        limiter: &L,
        key: K,
        terms: Terms,
        inner: &mut S,
        request: Request,
        on_refusal: R,
    ) -> Self {
        let wait = match limiter.take(&key, terms) {
            Attempt::Now(Ok(hold)) => return Self::calling(inner.call(request), hold, on_refusal),
            Attempt::Now(Err(refusal)) => {
                unready(inner);
                return Self::refused(refusal, on_refusal);
            }
            Attempt::Later(wait) => wait,
        };
        unready(inner);
        let seat = Seat::waiting(limiter.clone(), wait);
        Self::waiting(seat, key, terms, inner.clone(), request, on_refusal)
    }

    /// Answers a request that does not say for whom to limit it.
    #[cold]
    pub(crate) fn without_key(missing: MissingKey, inner: &mut S, on_refusal: R) -> Self {
        events::no_key(missing.what_to_do());
        unready(inner);
        Self::refused(RateLimited::new(Reason::NoKey), on_refusal)
    }
}

impl<S, Request, L, K, R> Future for ResponseFuture<S, Request, L, K, R>
where
    S: Service<Request> + Clone,
    L: Limiter,
    K: Key,
    R: OnRefusal<S::Response, S::Error>,
{
    type Output = Result<S::Response, R::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StateProjection::Calling { response, hold } = this.state.as_mut().project() {
            let response = ready!(response.poll(cx));
            return Poll::Ready(finish(response, hold.take(), this.on_refusal));
        }
        poll_until_called(this.state, cx, this.on_refusal)
    }
}

/// Hands over what was kept until there was a response.
#[inline(always)]
fn finish<Res, E, H: Send + Sync + 'static, R: OnRefusal<Res, E>>(
    response: Result<Res, E>,
    hold: Option<H>,
    on_refusal: &R,
) -> Result<Res, R::Error> {
    let mut response = response.map_err(|error| on_refusal.inner(error))?;
    if let Some(hold) = hold {
        on_refusal.responded(&mut response, hold);
    }
    Ok(response)
}

/// Goes on with a call that did not go straight to the inner service.
#[cold]
fn poll_until_called<S, Request, L, K, R>(
    mut state: Pin<&mut State<S, Request, L, K>>,
    cx: &mut Context<'_>,
    on_refusal: &R,
) -> Poll<Result<S::Response, R::Error>>
where
    S: Service<Request> + Clone,
    L: Limiter,
    K: Key,
    R: OnRefusal<S::Response, S::Error>,
{
    loop {
        let next = match state.as_mut().project() {
            StateProjection::Calling { response, hold } => {
                let response = ready!(response.poll(cx));
                return Poll::Ready(finish(response, hold.take(), on_refusal));
            }
            StateProjection::Refused { refusal } => {
                let refusal = refusal.take().expect("a future is not polled after it was ready");
                return Poll::Ready(on_refusal.refuse(refusal));
            }
            StateProjection::Waiting { call } => match ready!(call.poll(cx)) {
                Ok(Called::Sent(response, hold)) => State::Calling { response, hold: Some(hold) },
                Ok(Called::Refused(refusal)) => State::Refused { refusal: Some(refusal) },
                Err(error) => return Poll::Ready(Err(on_refusal.inner(error))),
            },
        };
        state.set(next);
    }
}

/// How a call came out that waited.
enum Called<F, H> {
    Sent(F, H),
    Refused(RateLimited),
}

type CalledBy<S, Request, L> = Result<
    Called<<S as Service<Request>>::Future, <L as Limiter>::Hold>,
    <S as Service<Request>>::Error,
>;

impl<S: Service<Request> + Clone, Request, L: Limiter, K: Key> Call<S, Request, L, K> {
    /// Gets the permit first and readies the inner service last, as the service would have.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CalledBy<S, Request, L>> {
        loop {
            if self.seat.renounce() {
                unready(&mut self.inner);
            }
            if ready!(self.seat.poll_seated(cx, &self.key, self.terms)) {
                ready!(self.inner.poll_ready(cx))?;
            }
            match self.seat.take(&self.key, self.terms) {
                Go::Refused(refusal) => return Poll::Ready(Ok(Called::Refused(refusal))),
                Go::Wait => {}
                Go::Call(hold) => {
                    let request = self.request.take().expect("a request is sent once");
                    return Poll::Ready(Ok(Called::Sent(self.inner.call(request), hold)));
                }
            }
        }
    }
}

impl<S: Service<Request>, Request, L: Limiter, K, R> fmt::Debug
    for ResponseFuture<S, Request, L, K, R>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Calling { .. } => "Calling",
            State::Refused { .. } => "Refused",
            State::Waiting { .. } => "Waiting",
        })
    }
}
