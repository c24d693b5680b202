//! Requests that are not limited.

use super::{KeySource, MissingKey};
use crate::limiter::Terms;

/// A key source some of whose requests are not limited at all; made by
/// [`PerKeyLayer::exempt`](super::PerKeyLayer::exempt).
#[derive(Clone, Debug)]
pub struct Exempt<K, F> {
    pub(super) source: K,
    pub(super) is_exempt: F,
}

impl<K, F, Request> KeySource<Request> for Exempt<K, F>
where
    K: KeySource<Request>,
    F: Fn(&Request) -> bool + Clone,
{
    type Key = K::Key;
    type Reply = K::Reply;

    const ADDS: bool = K::ADDS;

    fn key(&self, request: &Request) -> Result<K::Key, MissingKey> {
        self.source.key(request)
    }

    fn reply(&self) -> K::Reply {
        self.source.reply()
    }

    fn terms(&self, request: &Request, terms: Terms) -> Terms {
        self.source.terms(request, terms)
    }

    fn is_exempt(&self, request: &Request) -> bool {
        (self.is_exempt)(request) || self.source.is_exempt(request)
    }
}
