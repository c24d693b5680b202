//! The service that listens to responses.

use super::{Heard, Heeding, ResponseHead};
use crate::{
    clock::wall_time,
    limiter::{KeyedRateLimiter, RateLimiter},
    per_key::KeySource,
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// A service whose responses pause the callers of the same server; part of what a
/// [`HeedLayer`](super::HeedLayer) makes.
#[derive(Clone, Debug)]
pub struct Listen<S, K> {
    inner: S,
    source: K,
    limiter: KeyedRateLimiter<Heeding>,
}

pin_project! {
    /// The response future of a [`Listen`] service.
    pub struct ListenFuture<F> {
        #[pin]
        response: F,
        server: Option<RateLimiter<Heeding>>,
    }
}

impl<S, K> Listen<S, K> {
    pub(super) fn new(inner: S, source: K, limiter: KeyedRateLimiter<Heeding>) -> Self {
        Self { inner, source, limiter }
    }
}

impl<S, K, Request> Service<Request> for Listen<S, K>
where
    S: Service<Request, Response: ResponseHead>,
    K: KeySource<Request>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ListenFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let server = self.source.key(&request).ok().map(|key| self.limiter.key(&key));
        ListenFuture { response: self.inner.call(request), server }
    }
}

impl<F, Res: ResponseHead, E> Future for ListenFuture<F>
where
    F: Future<Output = Result<Res, E>>,
{
    type Output = Result<Res, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.response.poll(cx))?;
        if let Some(server) = this.server {
            heed(server, &mut response);
        }
        Poll::Ready(Ok(response))
    }
}

/// Stands in the extensions of a response that calls to its server now pause for, as it says: who
/// tries again need not wait besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paused;

/// Does as the response says.
pub(super) fn heed(server: &RateLimiter<Heeding>, response: &mut impl ResponseHead) {
    let heard = Heard::read(response.status(), response.headers(), wall_time());
    // Without room for one more server its calls are refused anyway, as the limiter was told to.
    let is_heeded = server.heed(&heard).is_ok();
    // Only refusals are tried again, and other responses need no room for it.
    if is_heeded && heard.refused && heard.said().is_some_and(|wait| !wait.is_zero()) {
        response.extensions_mut().insert(Paused);
    }
}

impl<F> fmt::Debug for ListenFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenFuture").finish_non_exhaustive()
    }
}
