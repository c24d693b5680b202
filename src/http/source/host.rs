//! Whom a client asks.

use crate::{
    per_key::{KeySource, MissingKey},
    reply::Fail,
};
use http::Request;

/// Keys requests by the host and port they go to, for a client's limit on each server it talks to.
///
/// Refusals are errors.
///
/// ```
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer, http::Host};
///
/// // Two a second to each host; what is above that waits.
/// let layer = RateLimitLayer::per_key(Host, LeakyBucket::new(Rate::per_second(2)?)).wait();
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host;

impl<B> KeySource<Request<B>> for Host {
    type Key = (String, Option<u16>);
    type Reply = Fail;

    fn key(&self, request: &Request<B>) -> Result<Self::Key, MissingKey> {
        let uri = request.uri();
        let host = uri.host().ok_or(MissingKey::new("give the request an absolute URI"))?;
        let port = uri.port_u16().or(match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        });
        Ok((host.to_ascii_lowercase(), port))
    }

    fn reply(&self) -> Fail {
        Fail
    }
}
