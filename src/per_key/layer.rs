//! The layer with a limit for each key.

use super::{Answered, Exempt, OnTerms, PerKey};
use crate::{
    error::RateLimited,
    limiter::{Limiter, Patience, Terms},
    reply::Respond,
};
use std::time::Duration;
use tower_layer::Layer;

/// Limits how often the services it wraps are called for each key; made by
/// [`RateLimitLayer::per_key`](crate::RateLimitLayer::per_key).
///
/// The limits belong to the layer: every service made by it and all their clones share them. For
/// limits of its own, give a route a layer of its own.
///
/// A call beyond the limit is refused at once; [`max_wait`](Self::max_wait) and
/// [`wait`](Self::wait) let it wait instead. On a server, a request that waits is held in memory:
/// bound both the wait and the [line](crate::Builder::max_waiting).
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow};
///
/// struct Job { tenant: u64 }
///
/// // Sixty a minute for each tenant.
/// let layer = RateLimitLayer::per_key(
///     |job: &Job| job.tenant,
///     SlidingWindow::new(Rate::per_minute(60)?),
/// );
/// # let _ = ServiceBuilder::new().layer(layer);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct PerKeyLayer<K, L> {
    source: K,
    limiter: L,
    patience: Patience,
}

impl<K, L> PerKeyLayer<K, L> {
    pub(crate) fn new(source: K, limiter: L) -> Self {
        Self { source, limiter, patience: Patience::Now }
    }

    /// Refuses a call at once when it would have to wait at all, as a new layer does.
    #[must_use]
    pub fn refuse(self) -> Self {
        self.patience(Patience::Now)
    }

    /// Refuses a call at once when it would have to wait longer than this, and lets it wait
    /// otherwise.
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        self.patience(Patience::MaxWait(max_wait))
    }

    /// Lets a call wait as long as it takes.
    #[must_use]
    pub fn wait(self) -> Self {
        self.patience(Patience::Forever)
    }

    /// Lets a call wait so long: the same as [`RateLimitLayer::patience`](crate::RateLimitLayer::patience).
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Sets the terms of each request by a function: how many permits it takes, and how long it
    /// waits for them. The function is given one permit and the patience of the layer.
    ///
    /// ```
    /// use http::Request;
    /// use tower_ratelimit::{Patience, Rate, RateLimitLayer, SlidingWindow, Terms};
    ///
    /// // A search costs ten, and does not mind waiting.
    /// let limit = SlidingWindow::new(Rate::per_minute(100)?);
    /// let layer = RateLimitLayer::per_key(|request: &Request<String>| request.uri().clone().to_string(), limit)
    ///     .terms(|request: &Request<String>, terms| match request.uri().path() {
    ///         "/search" => Terms { cost: 10, patience: Patience::Forever },
    ///         _ => terms,
    ///     });
    /// # let _ = layer;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn terms<F, Request>(self, terms: F) -> PerKeyLayer<OnTerms<K, F>, L>
    where
        F: Fn(&Request, Terms) -> Terms,
    {
        self.map_source(|source| OnTerms { source, terms })
    }

    /// Exempts the requests for which the function returns `true`: they take nothing, need no key,
    /// and are not counted. Several such functions add up.
    ///
    /// ```
    /// use http::Request;
    /// use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow, http::PeerIp};
    ///
    /// // Whoever watches over the service may always ask how it is, and so may its own host.
    /// let limit = SlidingWindow::new(Rate::per_minute(60)?);
    /// let layer = RateLimitLayer::per_key(PeerIp::default(), limit)
    ///     .exempt(|request: &Request<String>| request.uri().path() == "/health")
    ///     .exempt(|request: &Request<String>| {
    ///         PeerIp::default().address(request).is_ok_and(|address| address.is_loopback())
    ///     });
    /// # let _ = layer;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn exempt<F, Request>(self, is_exempt: F) -> PerKeyLayer<Exempt<K, F>, L>
    where
        F: Fn(&Request) -> bool,
    {
        self.map_source(|source| Exempt { source, is_exempt })
    }

    /// Answers calls that are not let through by a function, which returns a response or an error
    /// of the inner service's type.
    pub fn respond<F, O>(self, answer: F) -> PerKeyLayer<Answered<K, Respond<F>>, L>
    where
        F: Fn(RateLimited) -> O,
    {
        self.reply(Respond(answer))
    }

    /// Sets how refused calls are answered, instead of as the source does, such as by
    /// [`TooManyRequests`](crate::http::TooManyRequests).
    pub fn reply<R>(self, reply: R) -> PerKeyLayer<Answered<K, R>, L> {
        self.map_source(|source| Answered { source, reply })
    }
}

impl<K, L> PerKeyLayer<K, L> {
    pub(crate) fn limiter(&self) -> &L {
        &self.limiter
    }

    pub(crate) fn map_limiter<M>(self, map: impl FnOnce(L) -> M) -> PerKeyLayer<K, M> {
        let limiter = map(self.limiter);
        PerKeyLayer { source: self.source, limiter, patience: self.patience }
    }

    pub(crate) fn map_source<T>(self, map: impl FnOnce(K) -> T) -> PerKeyLayer<T, L> {
        let source = map(self.source);
        PerKeyLayer { source, limiter: self.limiter, patience: self.patience }
    }
}

impl<S, K: Clone, L: Limiter> Layer<S> for PerKeyLayer<K, L> {
    type Service = PerKey<S, K, L>;

    fn layer(&self, inner: S) -> Self::Service {
        PerKey {
            inner,
            source: self.source.clone(),
            limiter: self.limiter.clone(),
            patience: self.patience,
        }
    }
}
