//! The response of a limited call.

use crate::{
    error::RateLimited,
    key::Key,
    limiter::{Attempt, Limiter, Standing, Terms},
    per_key::MissingKey,
    reply::Reply,
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
    /// The response future of a [`RateLimit`](crate::RateLimit) or a [`PerKey`](crate::per_key::PerKey)
    /// service.
    pub struct ResponseFuture<S: Service<Request>, Request, L: Limiter, K, R: Reply<S::Response, S::Error>> {
        #[pin]
        state: State<S, Request, L, K, R::Note>,
        reply: R,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>, Request, L: Limiter, K, N> {
        // What is kept is gone once there was a response; a call that takes nothing keeps nothing.
        Calling { #[pin] response: S::Future, kept: Option<(L::Hold, N)> },
        Refused { refusal: Option<(RateLimited, N)> },
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

impl<S, Request, L, K, R> ResponseFuture<S, Request, L, K, R>
where
    S: Service<Request>,
    L: Limiter,
    K: Key,
    R: Reply<S::Response, S::Error>,
{
    /// Calls `inner` with permits that are used now. What is noted of them is noted before that, as the
    /// call takes its time.
    #[inline(always)]
    pub(crate) fn calling(
        hold: L::Hold,
        note: R::Note,
        inner: &mut S,
        request: Request,
        reply: R,
    ) -> Self {
        let state = State::Calling { response: inner.call(request), kept: Some((hold, note)) };
        Self { state, reply }
    }

    /// A call that takes nothing.
    pub(crate) fn exempt(response: S::Future, reply: R) -> Self {
        Self { state: State::Calling { response, kept: None }, reply }
    }

    pub(crate) fn refused(limiter: &L, key: &K, refusal: RateLimited, reply: R) -> Self {
        let note = reply.note(Err(&refusal), |tell| limiter.standing(key, Err(&refusal), tell));
        let state = State::Refused { refusal: Some((refusal, note)) };
        Self { state, reply }
    }

    /// Calls `inner` once `seat` has a permit and the service is ready.
    pub(crate) fn waiting(
        seat: Seat<L>,
        key: K,
        terms: Terms,
        inner: S,
        request: Request,
        reply: R,
    ) -> Self {
        let request = Some(request);
        let call = Box::new(Call { seat, key, terms, inner, request });
        let state = State::Waiting { call };
        Self { state, reply }
    }
}

impl<S, Request, L, K, R> ResponseFuture<S, Request, L, K, R>
where
    S: Service<Request> + Clone,
    L: Limiter,
    K: Key,
    R: Reply<S::Response, S::Error>,
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
        reply: R,
    ) -> Self {
        let wait = match limiter.take_noting(&key, terms, |limits| reply.note(Ok(()), limits)) {
            Attempt::Now(Ok((hold, note))) => {
                return Self::calling(hold, note, inner, request, reply);
            }
            Attempt::Now(Err(refusal)) => {
                unready(inner);
                return Self::refused(limiter, &key, refusal, reply);
            }
            Attempt::Later(wait) => wait,
        };
        unready(inner);
        let seat = Seat::waiting(limiter.clone(), wait);
        Self::waiting(seat, key, terms, inner.clone(), request, reply)
    }

    /// Answers a request that does not say for whom to limit it.
    #[cold]
    pub(crate) fn without_key(missing: MissingKey, inner: &mut S, reply: R) -> Self {
        unready(inner);
        let refusal = missing.refuse();
        // No limit was asked.
        let note = reply.note(Err(&refusal), |_| {});
        let state = State::Refused { refusal: Some((refusal, note)) };
        Self { state, reply }
    }
}

impl<S, Request, L, K, R> Future for ResponseFuture<S, Request, L, K, R>
where
    S: Service<Request> + Clone,
    L: Limiter,
    K: Key,
    R: Reply<S::Response, S::Error>,
{
    type Output = Result<S::Response, R::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StateProjection::Calling { response, kept } = this.state.as_mut().project() {
            let response = ready!(response.poll(cx));
            return Poll::Ready(finish(response, kept.take(), this.reply));
        }
        poll_until_called(this.state, cx, this.reply)
    }
}

/// Hands over what was kept until there was a response.
#[inline(always)]
fn finish<Res, E, H: Send + Sync + 'static, R: Reply<Res, E>>(
    response: Result<Res, E>,
    kept: Option<(H, R::Note)>,
    reply: &R,
) -> Result<Res, R::Error> {
    let mut response = response.map_err(|error| reply.inner(error))?;
    if let Some((hold, note)) = kept {
        reply.responded(&mut response, hold, note);
    }
    Ok(response)
}

/// Goes on with a call that did not go straight to the inner service.
#[cold]
fn poll_until_called<S, Request, L, K, R>(
    mut state: Pin<&mut State<S, Request, L, K, R::Note>>,
    cx: &mut Context<'_>,
    reply: &R,
) -> Poll<Result<S::Response, R::Error>>
where
    S: Service<Request> + Clone,
    L: Limiter,
    K: Key,
    R: Reply<S::Response, S::Error>,
{
    loop {
        let next = match state.as_mut().project() {
            StateProjection::Calling { response, kept } => {
                let response = ready!(response.poll(cx));
                return Poll::Ready(finish(response, kept.take(), reply));
            }
            StateProjection::Refused { refusal } => {
                let refused = refusal.take();
                let (refusal, note) = refused.expect("a future is not polled after it was ready");
                return Poll::Ready(reply.refuse(refusal, note));
            }
            StateProjection::Waiting { call } => match ready!(call.poll(cx, reply)) {
                Ok(Called::Sent(response, hold, note)) => {
                    State::Calling { response, kept: Some((hold, note)) }
                }
                Ok(Called::Refused(refusal, note)) => {
                    State::Refused { refusal: Some((refusal, note)) }
                }
                Err(error) => return Poll::Ready(Err(reply.inner(error))),
            },
        };
        state.set(next);
    }
}

/// How a call came out that waited.
enum Called<F, H, N> {
    Sent(F, H, N),
    Refused(RateLimited, N),
}

type CalledBy<S, Request, L, N> = Result<
    Called<<S as Service<Request>>::Future, <L as Limiter>::Hold, N>,
    <S as Service<Request>>::Error,
>;

impl<S: Service<Request> + Clone, Request, L: Limiter, K: Key> Call<S, Request, L, K> {
    /// Gets the permit first and readies the inner service last, as the service would have.
    fn poll<R: Reply<S::Response, S::Error>>(
        &mut self,
        cx: &mut Context<'_>,
        reply: &R,
    ) -> Poll<CalledBy<S, Request, L, R::Note>> {
        loop {
            if self.seat.renounce() {
                unready(&mut self.inner);
            }
            if ready!(self.seat.poll_seated(cx, &self.key, &self.terms)) {
                ready!(self.inner.poll_ready(cx))?;
            }
            match self.seat.take(&self.key, &self.terms) {
                Go::Refused(refusal) => {
                    let limits = |tell: &mut dyn FnMut(Standing<'_>)| {
                        self.seat.limiter().standing(&self.key, Err(&refusal), tell);
                    };
                    let note = reply.note(Err(&refusal), limits);
                    return Poll::Ready(Ok(Called::Refused(refusal, note)));
                }
                Go::Wait => {}
                Go::Call(hold) => {
                    let limits = |tell: &mut dyn FnMut(Standing<'_>)| {
                        self.seat.limiter().standing(&self.key, Ok(&hold), tell);
                    };
                    let note = reply.note(Ok(()), limits);
                    let request = self.request.take().expect("a request is sent once");
                    return Poll::Ready(Ok(Called::Sent(self.inner.call(request), hold, note)));
                }
            }
        }
    }
}

impl<S, Request, L, K, R> fmt::Debug for ResponseFuture<S, Request, L, K, R>
where
    S: Service<Request>,
    L: Limiter,
    R: Reply<S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Calling { .. } => "Calling",
            State::Refused { .. } => "Refused",
            State::Waiting { .. } => "Waiting",
        })
    }
}
