//! A reply that adds the fields.

use super::write::{Plan, X_LIMIT, X_REMAINING, X_RESET};
use crate::{
    error::RateLimited,
    limiter::{Standing, Terms},
    per_key::{KeySource, MissingKey},
    reply::Reply,
};
use http::{HeaderName, HeaderValue, Response};
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
    /// The fields, which are those of the instant at which the call was decided.
    type Note = (R::Note, Vec<(HeaderName, HeaderValue)>);

    fn note(
        &self,
        decided: Result<(), &RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> Self::Note {
        let fields = match decided {
            Ok(()) if !self.plan.fields.is_always => Vec::new(),
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
        add(fields, &mut response);
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
            add(fields, response);
        }
        self.inner.responded(response, hold, note);
    }
}

/// To the lists of other layers; what is no list is that of the outermost one.
fn add<B>(fields: Vec<(HeaderName, HeaderValue)>, response: &mut Response<B>) {
    let headers = response.headers_mut();
    for (name, value) in fields {
        match [X_LIMIT, X_REMAINING, X_RESET].contains(&name) {
            true => drop(headers.insert(name, value)),
            false => drop(headers.append(name, value)),
        }
    }
}
