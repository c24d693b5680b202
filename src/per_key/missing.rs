//! Requests without a key.

use super::KeySource;
use crate::{
    error::{RateLimited, Reason},
    events,
    limiter::Terms,
};

/// The error for a request without a key to limit it by, and what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingKey {
    what_to_do: &'static str,
    reason: Reason,
}

impl MissingKey {
    /// Creates the error for a key that every request has where the service is set up correctly.
    ///
    /// It is for a source of your own. `what_to_do` is for the people who run the service: it stands
    /// in the text of the refusal, which `respond` can print, and with the feature `tracing` in an
    /// event. The refusal is [`NoKey`](Reason::NoKey), and no answer of this crate tells the client
    /// what to do.
    #[must_use]
    pub fn new(what_to_do: &'static str) -> Self {
        Self { what_to_do, reason: Reason::NoKey }
    }

    /// Creates the error for a key that the client has to send, and did not.
    ///
    /// It is for a source of your own. It is not logged as an error of the service, whose log
    /// clients could fill. The refusal is [`Anonymous`](Reason::Anonymous), and its text says what to
    /// do.
    #[must_use]
    pub fn anonymous(what_to_do: &'static str) -> Self {
        Self { what_to_do, reason: Reason::Anonymous }
    }

    /// Returns what can be done about it.
    #[must_use]
    pub fn what_to_do(&self) -> &'static str {
        self.what_to_do
    }

    /// Returns the reason of the refusal, which tells whose fault it is.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The refusal, once there was an event.
    pub(crate) fn refuse(self) -> RateLimited {
        let refusal = RateLimited::new(self.reason).with_what_to_do(self.what_to_do);
        match self.reason {
            Reason::Anonymous => events::refused(&refusal),
            _ => events::no_key(self.what_to_do),
        }
        refusal
    }
}

/// A key source whose requests without a key share one limit, instead of being refused.
///
/// The key is an `Option`: to ask a [`KeyedRateLimiter`](crate::KeyedRateLimiter) about it
/// elsewhere, write `limiter.key(&Some("the key"))`, and `limiter.key(&None::<&str>)` for those
/// without one.
///
/// ```
/// use http::{HeaderName, Request};
/// use tower_ratelimit::{KeySource, OrShared, http::Header};
///
/// let by_api_key = OrShared(Header::new(HeaderName::from_static("x-api-key")));
/// assert_eq!(by_api_key.key(&Request::new(())), Ok(None));
/// assert!(by_api_key.0.key(&Request::new(())).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrShared<K>(pub K);

impl<K: KeySource<Request>, Request> KeySource<Request> for OrShared<K> {
    type Key = Option<K::Key>;
    type Reply = K::Reply;

    const ADDS: bool = K::ADDS;

    fn key(&self, request: &Request) -> Result<Self::Key, MissingKey> {
        Ok(self.0.key(request).ok())
    }

    fn reply(&self) -> K::Reply {
        self.0.reply()
    }

    fn terms(&self, request: &Request, terms: Terms) -> Terms {
        self.0.terms(request, terms)
    }

    fn is_exempt(&self, request: &Request) -> bool {
        self.0.is_exempt(request)
    }
}
