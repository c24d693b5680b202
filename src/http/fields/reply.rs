//! A reply that adds the fields.

use super::write::{NotedFields, Plan};
use crate::{
    error::RateLimited,
    limiter::{Standing, Terms},
    per_key::{KeySource, MissingKey},
    reply::Reply,
};
use http::Response;
use std::sync::Arc;

/// A reply, or a source of keys, whose responses say how the limits stand; made by
/// [`RateLimitLayer::fields`](crate::RateLimitLayer::fields) and its like.
#[derive(Clone, Debug)]
pub struct WithFields<R> {
    inner: R,
    plan: Arc<Plan>,
}

impl<R> WithFields<R> {
    pub(super) fn new(inner: R, plan: Plan) -> Self {
        Self { inner, plan: Arc::new(plan) }
    }
}

impl<K: KeySource<Request>, Request> KeySource<Request> for WithFields<K> {
    type Key = K::Key;
    type Reply = WithFields<K::Reply>;

    fn key(&self, request: &Request) -> Result<K::Key, MissingKey> {
        self.inner.key(request)
    }

    fn reply(&self) -> Self::Reply {
        WithFields { inner: self.inner.reply(), plan: Arc::clone(&self.plan) }
    }

    fn terms(&self, request: &Request, terms: Terms) -> Terms {
        self.inner.terms(request, terms)
    }

    fn is_exempt(&self, request: &Request) -> bool {
        self.inner.is_exempt(request)
    }
}

impl<R, B, E> Reply<Response<B>, E> for WithFields<R>
where
    R: Reply<Response<B>, E>,
{
    type Error = R::Error;
    type Note = (R::Note, NotedFields);

    fn note(
        &self,
        decided: Result<(), &RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> Self::Note {
        let fields = match decided {
            Ok(()) if !self.plan.fields.is_always => NotedFields::default(),
            _ => self.plan.write(decided.err(), &limits),
        };
        (self.inner.note(decided, limits), fields)
    }

    fn refuse(
        &self,
        refusal: RateLimited,
        (note, fields): Self::Note,
    ) -> Result<Response<B>, R::Error> {
        let mut response = self.inner.refuse(refusal, note)?;
        fields.add_to(response.headers_mut());
        Ok(response)
    }

    fn inner(&self, error: E) -> R::Error {
        self.inner.inner(error)
    }

    fn responded<H: Send + Sync + 'static>(
        &self,
        response: &mut Response<B>,
        hold: H,
        (note, fields): Self::Note,
    ) {
        if !response.status().is_redirection() {
            fields.add_to(response.headers_mut());
        }
        self.inner.responded(response, hold, note);
    }
}
