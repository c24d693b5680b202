//! What is to be done.

use crate::{
    http::TooManyRequests,
    per_key::{KeySource, MissingKey},
};
use http::{Method, Request};

/// Keys requests by their method, as a part of a key: `(PeerIp::default(), RequestMethod)`.
///
/// All methods that HTTP does not know share one key, as clients can make them up.
///
/// ```
/// use http::{Method, Request};
/// use tower_ratelimit::{KeySource, http::RequestMethod};
///
/// let key = |method| {
///     let mut request = Request::new(());
///     *request.method_mut() = method;
///     RequestMethod.key(&request)
/// };
/// assert_eq!(key(Method::GET), Ok(Some(Method::GET)));
/// assert_eq!(key(Method::from_bytes(b"PURGE").expect("a token")), Ok(None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestMethod;

const KNOWN: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::CONNECT,
    Method::TRACE,
];

impl<B> KeySource<Request<B>> for RequestMethod {
    type Key = Option<Method>;
    type Reply = TooManyRequests;

    fn key(&self, request: &Request<B>) -> Result<Option<Method>, MissingKey> {
        let method = request.method();
        Ok(KNOWN.contains(method).then(|| method.clone()))
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}
