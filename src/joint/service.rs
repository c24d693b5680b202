//! The service that asks for permits of several limits in `call`.

use super::JointRules;
use crate::{
    future::ResponseFuture,
    limiter::{JointLimiter, Patience, Terms},
    reply::{Fail, Reply},
};
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose calls are subject to several limits; made by [`JointLayer`](super::JointLayer).
///
/// `poll_ready` is that of the inner service: it never sees the request, so it cannot know the
/// keys. `call` finds them and asks. A call that is let through at once goes straight to the inner
/// service. One that is refused, or has to wait, lets go of the inner service's readiness, so that
/// nothing is held in it; after the wait it is readied anew.
#[derive(Clone, Debug)]
pub struct Joint<S, F, R = Fail, L = JointLimiter> {
    pub(super) inner: S,
    pub(super) limiter: L,
    pub(super) rules: F,
    pub(super) patience: Patience,
    pub(super) reply: R,
}

impl<S, F, R, L> Joint<S, F, R, L> {
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

impl<S, F, R, L, Request> Service<Request> for Joint<S, F, R, L>
where
    S: Service<Request> + Clone,
    F: JointRules<Request, L>,
    R: Reply<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Request, F::OnLimits, (), R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| self.reply.inner(error))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let reply = self.reply.clone();
        let limits = match self.rules.limits(&self.limiter, &request) {
            Ok(limits) => limits,
            Err(missing) => {
                return ResponseFuture::without_key(missing, &mut self.inner, reply);
            }
        };
        let terms = Terms { cost: 1, patience: self.patience };
        ResponseFuture::ask(&limits, (), terms, &mut self.inner, request, reply)
    }
}
