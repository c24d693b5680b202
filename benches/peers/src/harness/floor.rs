//! The least that a layer can be which refuses some calls: its future is one of two things.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tower::Service;

/// Passes a call on, or not, as `decide` says of its request.
pub struct Floor<S, D> {
    inner: S,
    decide: D,
}

/// The future of such a layer.
pub enum Decided<F> {
    Passed(F),
    Refused,
}

/// The error of a call that was not passed on.
#[derive(Debug)]
pub struct Refused;

impl<S, D> Floor<S, D> {
    pub fn new(inner: S, decide: D) -> Self {
        Self { inner, decide }
    }
}

impl<S, D, Request> Service<Request> for Floor<S, D>
where
    S: Service<Request, Error = Infallible, Future: Unpin>,
    D: Fn(&Request) -> bool,
{
    type Response = S::Response;
    type Error = Refused;
    type Future = Decided<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.inner.poll_ready(cx).map_err(|never| match never {})
    }

    #[inline]
    fn call(&mut self, request: Request) -> Decided<S::Future> {
        match (self.decide)(&request) {
            true => Decided::Passed(self.inner.call(request)),
            false => Decided::Refused,
        }
    }
}

impl<F, Res> Future for Decided<F>
where
    F: Future<Output = Result<Res, Infallible>> + Unpin,
{
    type Output = Result<Res, Refused>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Decided::Passed(response) => {
                Pin::new(response).poll(cx).map_err(|never| match never {})
            }
            Decided::Refused => Poll::Ready(Err(Refused)),
        }
    }
}
