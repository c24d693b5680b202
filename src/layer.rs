//! The layer that limits all calls together.

use crate::{
    algorithm::Refills,
    error::RateLimited,
    invalid::Invalid,
    limiter::{IntoKeyedLimiter, IntoLimiter, Limiter, Patience, RateLimiter, Terms, Uncontrolled},
    per_key::PerKeyLayer,
    reply::{Boxed, Fail, Respond, WaitOnly},
    service::RateLimit,
};
use std::time::Duration;
use tower_layer::Layer;

/// Limits how often the services it wraps are called, all of them together.
///
/// The limit belongs to the layer: every service made by it and all their clones share it. The
/// services are as `Clone`, `Send` and `Sync` as the inner one, so no `Buffer` is needed.
///
/// A service waits in `poll_ready` until it has a permit, so that backpressure reaches the
/// caller, and uses it in `call`. [`max_wait`](Self::max_wait) and [`refuse`](Self::refuse) bound
/// the wait; a call that is not let through fails in `call` with [`Error::Limited`], never in
/// `poll_ready`, where an error would say that the service is dead. [`respond`](Self::respond)
/// answers such a call with a response instead, and [`wait_only`](Self::wait_only) builds a layer
/// that never refuses; both keep the error type of the inner service.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer};
///
/// // Ten a second, bursts of five; the rest wait in line.
/// let layer = RateLimitLayer::new(LeakyBucket::new(Rate::per_second(10)?).capacity(5)?);
/// let mut service = ServiceBuilder::new()
///     .layer(layer)
///     .service(service_fn(async |name: &str| Ok::<_, std::io::Error>(format!("hello {name}"))));
///
/// let start = tokio::time::Instant::now();
/// for _ in 0..7 {
///     assert_eq!(service.ready().await?.call("you").await?, "hello you");
/// }
/// assert_eq!(start.elapsed().as_millis(), 200);
/// # Ok(())
/// # }
/// ```
///
/// # Who waits
///
/// What a layer does unless told otherwise, by `refuse`, `max_wait`, `wait` or `patience`, which all have
/// but the second:
///
/// | | a call that would have to wait |
/// |---|---|
/// | [`RateLimitLayer::new`] | waits, in `poll_ready` |
/// | [`RateLimitLayer::wait_only`] | waits, in `poll_ready`, and nothing else |
/// | [`RateLimitLayer::per_key`], [`JointLayer`](crate::JointLayer) | is refused |
/// | [`HeedLayer`](crate::http::HeedLayer), `HeedMiddleware` | waits for ten minutes at most |
/// | `RateLimitMiddleware` | waits, also per key |
///
/// # With other layers
///
/// `Timeout` outside of this layer does not count the wait for readiness; [`max_wait`](Self::max_wait)
/// does. `Retry` outside pays for every attempt; inside, its attempts are free. `Buffer` outside
/// makes one task wait for all callers; inside, its place is not held while waiting, as the permit
/// comes first and the inner service last. `LoadShed` outside sheds every call that would wait. Those
/// that make boxed errors go outside of a [`boxed`](Self::boxed) layer.
///
/// # Readiness can end
///
/// A service that was ready and is asked again after an interval has lost its permit, and may be
/// pending: a departure from the letter of [`Service`](tower_service::Service), as otherwise idle
/// services could save up permits. The inner service has to be `Clone`, to let go of its readiness.
///
/// [`Error::Limited`]: crate::Error::Limited
#[derive(Clone, Debug)]
pub struct RateLimitLayer<L, R = Fail> {
    limiter: L,
    terms: Terms,
    reply: R,
}

impl RateLimitLayer<()> {
    /// Creates a layer that waits, from an algorithm (with fresh state in memory) or a limiter
    /// (whose state is shared with its other users).
    ///
    /// The service fails with [`Error<E>`](crate::Error).
    pub fn new<M, L: IntoLimiter<M>>(limiter: L) -> RateLimitLayer<L::Limiter> {
        RateLimitLayer {
            limiter: limiter.into_limiter(),
            terms: Terms { cost: 1, patience: Patience::Forever },
            reply: Fail,
        }
    }

    /// Creates a layer that only ever waits, and keeps the error type of the inner service.
    ///
    /// It takes an algorithm that [refills](Refills), and no limiter: what others could close, or send
    /// those who wait away from, would have to refuse calls. So [`RateLimit::limiter`] is one, too, that
    /// nobody [takes hold of](Uncontrolled).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::convert::Infallible;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_ratelimit::{Rate, RateLimitLayer, Strict};
    ///
    /// let service = ServiceBuilder::new()
    ///     .layer(RateLimitLayer::wait_only(Strict::new(Rate::per_second(10)?)))
    ///     .service(service_fn(async |n: u32| Ok::<_, Infallible>(n + 1)));
    /// let Ok(answer) = service.oneshot(1).await;
    /// assert_eq!(answer, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_only<A: Refills>(
        algorithm: A,
    ) -> RateLimitLayer<Uncontrolled<RateLimiter<A>>, WaitOnly> {
        RateLimitLayer {
            limiter: Uncontrolled(RateLimiter::new(algorithm)),
            terms: Terms { cost: 1, patience: Patience::Forever },
            reply: WaitOnly(()),
        }
    }

    /// Creates a layer with a limit for each key: see [`PerKeyLayer`].
    ///
    /// The [source](crate::KeySource) says how refusals are answered: those of
    /// [`http`](crate::http) with 429, while a function answers with errors, which axum does not
    /// take: say `.reply(TooManyRequests)` there.
    pub fn per_key<K, M, L: IntoKeyedLimiter<M>>(
        source: K,
        limiter: L,
    ) -> PerKeyLayer<K, L::Limiter> {
        PerKeyLayer::new(source, limiter.into_keyed_limiter())
    }
}

impl<L: Limiter> RateLimitLayer<L> {
    /// Takes this many permits for each call instead of one. What a call costs cannot depend on the
    /// request here, which nobody has seen yet when the permits are taken;
    /// [`PerKeyLayer::terms`](crate::PerKeyLayer::terms) can.
    ///
    /// ```
    /// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer};
    ///
    /// let bucket = LeakyBucket::new(Rate::per_second(10)?).capacity(5)?;
    /// let layer = RateLimitLayer::new(bucket).cost(5)?;
    /// assert!(layer.cost(6).is_err());
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is zero, which would limit nothing, and when the limit as it is now could
    /// never grant so many, unless the limiter [does not know](Limiter::could_grant).
    pub fn cost(self, cost: u32) -> Result<Self, Invalid> {
        if cost == 0 {
            return Err(Invalid::new("cost", cost, "at least 1"));
        }
        if !self.limiter.could_grant(cost) {
            return Err(Invalid::new(
                "cost",
                cost,
                "no more than the limit could ever grant a call",
            ));
        }
        let terms = Terms { cost, ..self.terms };
        Ok(Self { terms, ..self })
    }
}

impl<L> RateLimitLayer<L> {
    /// Answers calls that are not let through by a function, which returns a response or an error
    /// of the inner service's type.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::convert::Infallible;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer};
    ///
    /// let layer = RateLimitLayer::new(LeakyBucket::new(Rate::per_hour(1)?).capacity(1)?)
    ///     .refuse()
    ///     .respond(|_| Ok("come back later"));
    /// let service = ServiceBuilder::new()
    ///     .layer(layer)
    ///     .service(service_fn(async |_: ()| Ok::<_, Infallible>("welcome")));
    /// assert_eq!(service.clone().oneshot(()).await, Ok("welcome"));
    /// assert_eq!(service.oneshot(()).await, Ok("come back later"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn respond<F, O>(self, answer: F) -> RateLimitLayer<L, Respond<F>>
    where
        F: Fn(RateLimited) -> O,
    {
        self.reply(Respond(answer))
    }

    /// Sets how refused calls are answered, such as by
    /// [`TooManyRequests`](crate::http::TooManyRequests).
    pub fn reply<R>(self, reply: R) -> RateLimitLayer<L, R> {
        self.map_reply(|_| reply)
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

    /// Lets a call wait as long as it takes, as a new layer does.
    #[must_use]
    pub fn wait(self) -> Self {
        self.patience(Patience::Forever)
    }

    /// Lets a call wait so long; for what was read from a file, and for
    /// [`Timeout`](Patience::Timeout), by which calls wait in the hope that others give up.
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        let terms = Terms { patience, ..self.terms };
        Self { terms, ..self }
    }

    /// Makes the error of the service a boxed one, whatever that of the inner service is: a
    /// [`RateLimited`] to downcast to, or the inner error.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower::ServiceBuilder;
    /// use tower_ratelimit::{Rate, RateLimitLayer, Strict};
    ///
    /// let limit = RateLimitLayer::new(Strict::new(Rate::per_second(10)?)).boxed();
    /// let stack = ServiceBuilder::new()
    ///     .timeout(Duration::from_secs(9))
    ///     .layer(limit)
    ///     .timeout(Duration::from_secs(3));
    /// # let service = stack.service(tower::service_fn(async |_: ()| Ok::<_, std::io::Error>(())));
    /// # fn is_a_service<S: tower::Service<()>>(_: S) {}
    /// # is_a_service(service);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn boxed(self) -> RateLimitLayer<L, Boxed> {
        self.reply(Boxed)
    }
}

impl<L, R> RateLimitLayer<L, R> {
    pub(crate) fn limiter(&self) -> &L {
        &self.limiter
    }

    pub(crate) fn map_limiter<M>(self, map: impl FnOnce(L) -> M) -> RateLimitLayer<M, R> {
        let limiter = map(self.limiter);
        RateLimitLayer { limiter, terms: self.terms, reply: self.reply }
    }

    pub(crate) fn map_reply<T>(self, map: impl FnOnce(R) -> T) -> RateLimitLayer<L, T> {
        let reply = map(self.reply);
        RateLimitLayer { limiter: self.limiter, terms: self.terms, reply }
    }
}

impl<S, L: Limiter, R: Clone> Layer<S> for RateLimitLayer<L, R> {
    type Service = RateLimit<S, L, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit::new(inner, self.limiter.clone(), self.terms, self.reply.clone())
    }
}
