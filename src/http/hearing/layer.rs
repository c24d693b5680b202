//! The layer that pauses a client when a server says so.

use super::{Heeding, Listen};
use crate::{
    limiter::{IntoKeyedLimiter, KeyedRateLimiter, Patience},
    per_key::{PerKey, PerKeyLayer},
};
use std::time::Duration;
use tower_layer::Layer;

/// The longest wait that a call accepts unless told otherwise.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Pauses the calls to a server that says so, and lets them go one after the other from then on.
///
/// It listens to every response ([`Heard`](super::Heard) says to what). After a 429 or a 503, or
/// when nothing is left, further calls to that server wait until the pause ends and then leave at
/// the pace of [`Heeding`]; calls to others go on. The pause belongs to the layer: every service made
/// by it and all their clones obey. Calls that were under way end as they do. A response that its
/// caller does not wait for is not heard.
///
/// Put it inside of a [`RateLimitLayer`](crate::RateLimitLayer), if there is one (a call then has its
/// permit before it pauses), or take it alone. It takes nothing from that limit, and makes nothing
/// faster. A call that would have to wait longer than ten minutes, or than
/// [`max_wait`](Self::max_wait) says, fails at once with [`UsedUp`](crate::Reason::UsedUp), and says how
/// long the server wants to be left alone; so do calls that wait already when the pause becomes
/// that long. After a day a server is asked again whatever it said.
///
/// A client inside that follows redirects does not say that another server has answered, and what that
/// one says pauses the server that was asked. Switch redirects off, in reqwest by
/// `redirect::Policy::none()`.
///
/// A name, a clock or a bound on the number of servers remembered are set on a
/// [`KeyedRateLimiter`] of [`Heeding`]. One that is kept aside can also be
/// [told](crate::RateLimiter::heed) what the responses do not say.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer, http::{HeedLayer, Heeding, Host}};
///
/// let rate = Rate::per_second(10)?;
/// let client = ServiceBuilder::new()
///     .layer(RateLimitLayer::per_key(Host, LeakyBucket::new(rate)).wait())
///     .layer(HeedLayer::new(Host, Heeding::new(rate)));
/// # let _ = client;
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
///
/// # gRPC
///
/// With the feature `tonic` RESOURCE_EXHAUSTED pauses as 429 does, where it [says](super::Heard) that it is
/// about a limit, and UNAVAILABLE as 503. The requests of tonic's clients do not say to whom they go: take
/// one key for all that go through a channel.
///
/// ```
/// # #[cfg(feature = "tonic")] {
/// use tower_ratelimit::{Rate, http::{HeedLayer, Heeding}};
///
/// let heeding = Heeding::new(Rate::per_second(10)?);
/// let layer = HeedLayer::new(|_: &http::Request<tonic::body::Body>| (), heeding);
/// # let _ = layer;
/// # }
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeedLayer<K> {
    source: K,
    limiter: KeyedRateLimiter<Heeding>,
    waits: PerKeyLayer<K, KeyedRateLimiter<Heeding>>,
}

impl<K: Clone> HeedLayer<K> {
    /// Creates a layer with a pause for each key of this source, such as each
    /// [`Host`](crate::http::Host).
    pub fn new<M, L>(source: K, heeding: L) -> Self
    where
        L: IntoKeyedLimiter<M, Limiter = KeyedRateLimiter<Heeding>>,
    {
        let limiter = heeding.into_keyed_limiter();
        let waits = PerKeyLayer::new(source.clone(), limiter.clone()).max_wait(LONGEST_WAIT);
        Self { source, limiter, waits }
    }

    /// Refuses a call at once when it would have to wait at all.
    #[must_use]
    pub fn refuse(self) -> Self {
        self.patience(Patience::Now)
    }

    /// Refuses a call at once when it would have to wait longer than this.
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        self.patience(Patience::MaxWait(max_wait))
    }

    /// Lets a call wait as long as it takes, even if that is a day.
    #[must_use]
    pub fn wait(self) -> Self {
        self.patience(Patience::Forever)
    }

    /// Lets a call wait so long: the same as [`RateLimitLayer::patience`](crate::RateLimitLayer::patience).
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { waits: self.waits.patience(patience), ..self }
    }
}

impl<S, K: Clone> Layer<S> for HeedLayer<K> {
    type Service = PerKey<Listen<S, K>, K, KeyedRateLimiter<Heeding>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.waits.layer(Listen::new(inner, self.source.clone(), self.limiter.clone()))
    }
}
