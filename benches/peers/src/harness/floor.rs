//! The least that a layer can be which refuses some calls: its future is one of two things.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// Passes a call on, or not, as `decide` says of its request.
pub struct Floor<S, D> {
    inner: S,
    decide: D,
    name: Arc<str>,
}

/// The future of such a layer. That there is something to drop when a call was refused is what costs
/// the others most: a response cannot be made where it is wanted any more.
pub enum Decided<F> {
    Passed(F),
    Refused(Option<Refused>),
}

/// The error of a call that was not passed on: it names the limit.
#[derive(Debug)]
#[expect(dead_code, reason = "nobody is refused")]
pub struct Refused(Arc<str>);

impl<S, D> Floor<S, D> {
    pub fn new(inner: S, decide: D) -> Self {
        Self { inner, decide, name: "floor".into() }
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
            false => Decided::Refused(Some(Refused(Arc::clone(&self.name)))),
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
            Decided::Refused(refused) => {
                Poll::Ready(Err(refused.take().expect("a future is not polled after it was ready")))
            }
        }
    }
}
