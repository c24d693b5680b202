//! The service that asks for a permit in `call`.

use super::KeySource;
use crate::{
    future::ResponseFuture,
    limiter::{Limiter, Patience, Terms},
    reply::Reply,
};
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose calls are limited for each key; made by [`PerKeyLayer`](super::PerKeyLayer).
///
/// `poll_ready` is that of the inner service: it never sees the request, so it cannot know the key.
/// `call` finds the key and asks. A call that is let through at once goes straight to the inner
/// service. One that is refused, or has to wait, lets go of the inner service's readiness, so that
/// nothing is held in it; after the wait it is readied anew.
#[derive(Clone, Debug)]
pub struct PerKey<S, K, L> {
    pub(super) inner: S,
    pub(super) source: K,
    pub(super) limiter: L,
    pub(super) patience: Patience,
}

impl<S, K, L> PerKey<S, K, L> {
    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service. Calling it is not limited.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner service out.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Returns the limiter, shared with all clones.
    pub fn limiter(&self) -> &L {
        &self.limiter
    }
}

impl<S, K, L, Request> Service<Request> for PerKey<S, K, L>
where
    S: Service<Request> + Clone,
    L: Limiter,
    K: KeySource<Request>,
    K::Reply: Reply<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = <K::Reply as Reply<S::Response, S::Error>>::Error;
    type Future = ResponseFuture<S, Request, L, K::Key, K::Reply>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let ready = self.inner.poll_ready(cx);
        ready.map_err(|error| self.source.reply().inner(error))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        // Whether a reply was put in the place of one that adds something is found out here.
        const { K::ADDS };
        let reply = self.source.reply();
        if self.source.is_exempt(&request) {
            return ResponseFuture::exempt(self.inner.call(request), reply);
        }
        let key = match self.source.key(&request) {
            Ok(key) => key,
            Err(missing) => {
                return ResponseFuture::without_key(missing, &mut self.inner, reply);
            }
        };
        let terms = Terms { cost: 1, patience: self.patience };
        let terms = self.source.terms(&request, terms);
        ResponseFuture::ask(&self.limiter, key, terms, &mut self.inner, request, reply)
    }
}
