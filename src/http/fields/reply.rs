//! A reply that adds the fields.

use super::{
    plan::Plan,
    write::{Draft, NotedFields},
};
use crate::{
    error::RateLimited,
    limiter::{Standing, Terms},
    per_key::{KeySource, MissingKey},
    reply::Reply,
};
use http::Response;
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

/// A reply, or a key source, whose responses say how the limits stand; made by
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

    const ADDS: bool = true;

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
        if decided.is_ok() && !self.plan.fields.is_always {
            return (self.inner.note(decided, limits), NotedFields::default());
        }
        let draft = RefCell::new(Draft::new(&self.plan, decided.err()));
        let is_asked = Cell::new(false);
        // A look at the limits takes time, so one does for both: who is told by the inner reply's
        // look is told here, too.
        let note = self.inner.note(decided, |tell| {
            let is_first = !is_asked.replace(true);
            limits(&mut |limit| {
                if is_first {
                    draft.borrow_mut().add(&limit);
                }
                tell(limit);
            });
        });
        let mut draft = draft.into_inner();
        if !is_asked.get() {
            limits(&mut |limit| draft.add(&limit));
        }
        (note, draft.finish())
    }

    fn refuse(
        &self,
        refusal: RateLimited,
        (note, fields): Self::Note,
    ) -> Result<Response<B>, R::Error> {
        let mut response = self.inner.refuse(refusal, note)?;
        fields.add_to(&self.plan, response.headers_mut());
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
            fields.add_to(&self.plan, response.headers_mut());
        }
        self.inner.responded(response, hold, note);
    }
}
