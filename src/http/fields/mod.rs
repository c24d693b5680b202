//! Header fields that say how the limits stand.

mod reply;
mod write;
mod plan;
mod state;
mod line;

pub use reply::WithFields;
pub use write::NotedFields;

use crate::{
    algorithm::AnyAlgorithm,
    invalid::Invalid,
    joint::JointLayer,
    layer::RateLimitLayer,
    limiter::{JointLimiter, Limiter, StoredJointLimiter},
    per_key::PerKeyLayer,
    store::Store,
};
use plan::Plan;

/// Which header fields say how the limits stand, and on which responses; for
/// [`PerKeyLayer::fields`], [`RateLimitLayer::fields`] and [`JointLayer::fields`].
///
/// Without them a refusal says no more than `Retry-After`.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_ratelimit::{
///     KeyedRateLimiter, Rate, RateLimitLayer, SlidingWindow,
///     http::{FieldGeneration, PeerIp, RateLimitFields},
/// };
///
/// let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// let limit = KeyedRateLimiter::builder(limit).name("pages").build();
/// // RateLimit-Policy: "pages";q=60;w=60
/// // RateLimit: "pages";r=59;t=60
/// let fields = RateLimitFields::always(FieldGeneration::Draft11);
/// let layer = RateLimitLayer::per_key(PeerIp::default(), limit).fields(fields)?;
/// let app: Router = Router::new().route("/", get(async || "hello")).layer(layer);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
///
/// A client that uses no more than `r` permits in the next `t` seconds is not refused, with no
/// other client asking. On a refusal `t` is `Retry-After`. What the limiter does not know is left
/// out: how a limit stands whose store was not asked, of several rates of one limit all but the
/// binding one, and when calls in flight end. Redirections say nothing, as clients might take it
/// for what they are sent to. All is as it was when the call was let through: what it is
/// [settled](crate::PerKeyLayer::settle) to have cost beyond that shows in the next response.
///
/// Call it after [`reply`](crate::RateLimitLayer::reply) and `respond`, which put another reply in
/// the place of the one that sends the fields. The other way round does not compile:
///
/// ```compile_fail
/// # use http::{Request, Response};
/// # use std::convert::Infallible;
/// # use tower::{Service, ServiceBuilder, service_fn};
/// # use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow};
/// # use tower_ratelimit::http::{FieldGeneration, PeerIp, RateLimitFields, TooManyRequests};
/// # let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// # let fields = RateLimitFields::always(FieldGeneration::Draft11);
/// let layer = RateLimitLayer::per_key(PeerIp::default(), limit).fields(fields)?.reply(TooManyRequests);
/// # let hello = async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()));
/// # let mut service = ServiceBuilder::new().layer(layer).service(service_fn(hello));
/// # drop(service.call(Request::new(())));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
///
/// # Names
///
/// A policy goes by the [name](crate::Builder::name) of its limit, `default` without one, and
/// where a limit has several rates each is named with its rate, such as `pages 60/min`. Name the
/// limits of layers that stand one around the other, or clients cannot tell them apart.
///
/// # Browsers
///
/// Scripts of other origins see none of these fields unless a CORS layer outside of this one lets them:
/// `Access-Control-Expose-Headers: RateLimit, RateLimit-Policy, Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitFields {
    draft_11: bool,
    x_rate_limit: bool,
    is_always: bool,
}

/// A form of the fields. The standard is not finished and changes them from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldGeneration {
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, as since its
    /// version 08.
    Draft11,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, of the limit that refused the call, or else has the
    /// fewest permits left. No standard says what they mean; here the first is how many permits can
    /// be had at once, and the last is the seconds from now, not an instant.
    XRateLimit,
}

impl RateLimitFields {
    /// Sends these fields on every response.
    #[must_use]
    pub fn always(generation: FieldGeneration) -> Self {
        let none = Self { draft_11: false, x_rate_limit: false, is_always: true };
        none.and(generation)
    }

    /// Sends these fields on refusals only.
    #[must_use]
    pub fn on_refusal(generation: FieldGeneration) -> Self {
        Self { is_always: false, ..Self::always(generation) }
    }

    /// Sends these fields as well.
    #[must_use]
    pub fn and(self, generation: FieldGeneration) -> Self {
        match generation {
            FieldGeneration::Draft11 => Self { draft_11: true, ..self },
            FieldGeneration::XRateLimit => Self { x_rate_limit: true, ..self },
        }
    }

    fn sends(self, generation: FieldGeneration) -> bool {
        match generation {
            FieldGeneration::Draft11 => self.draft_11,
            FieldGeneration::XRateLimit => self.x_rate_limit,
        }
    }
}

impl<L: Limiter, R> RateLimitLayer<L, R> {
    /// Adds header fields that say how the limit stands. Refusals have to be answered with
    /// responses, such as by [`TooManyRequests`](crate::http::TooManyRequests).
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the name of a limit is not printable ASCII, or the same as that of another one.
    pub fn fields(
        self,
        fields: RateLimitFields,
    ) -> Result<RateLimitLayer<L, WithFields<R>>, Invalid> {
        let plan = Plan::new(fields, |tell| self.limiter().policies(tell))?;
        Ok(self.map_reply(|reply| WithFields::new(reply, plan)))
    }
}

impl<K, L: Limiter> PerKeyLayer<K, L> {
    /// Adds header fields that say how the limit stands, as [`RateLimitLayer::fields`] does. A
    /// [reply](Self::reply) is set before it.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn fields(self, fields: RateLimitFields) -> Result<PerKeyLayer<WithFields<K>, L>, Invalid> {
        let plan = Plan::new(fields, |tell| self.limiter().policies(tell))?;
        Ok(self.map_source(|source| WithFields::new(source, plan)))
    }
}

impl<F, R> JointLayer<F, R, JointLimiter> {
    /// Adds header fields that say how all limits of the request stand, as
    /// [`RateLimitLayer::fields`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn fields(
        self,
        fields: RateLimitFields,
    ) -> Result<JointLayer<F, WithFields<R>, JointLimiter>, Invalid> {
        let plan = Plan::new(fields, |tell| self.limiter().policies(tell))?;
        Ok(self.map_reply(|reply| WithFields::new(reply, plan)))
    }
}

impl<F, R, S: Store<AnyAlgorithm>> JointLayer<F, R, StoredJointLimiter<S>> {
    /// Adds header fields that say how all limits of the request stand, as
    /// [`RateLimitLayer::fields`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn fields(
        self,
        fields: RateLimitFields,
    ) -> Result<JointLayer<F, WithFields<R>, StoredJointLimiter<S>>, Invalid> {
        let plan = Plan::new(fields, |tell| self.limiter().policies(tell))?;
        Ok(self.map_reply(|reply| WithFields::new(reply, plan)))
    }
}
