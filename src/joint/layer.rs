//! The layer with several limits.

use super::Joint;
use crate::{
    error::RateLimited,
    limiter::{JointLimiter, Patience},
    reply::{Fail, Respond},
};
use std::time::Duration;
use tower_layer::Layer;

/// Limits how often the services it wraps are called, by several limits that are taken together or
/// not at all: per address, per API key and over all.
///
/// Several layers one around the other would take from the outer limit for calls that the inner one
/// refuses. This one decides in `call`, where the request is known, as
/// [`PerKeyLayer`](crate::PerKeyLayer) does: a call beyond one of the limits is refused at once, by
/// the name of the binding one, and [`max_wait`](Self::max_wait) and [`wait`](Self::wait) let it
/// wait instead. It has a service of its own because a [`Limiter`](crate::Limiter) is asked with one
/// key, and here each request has several. For several limits whose keys are the same for all
/// requests give an [`OnLimits`](crate::limiter::OnLimits) to a
/// [`RateLimitLayer`](crate::RateLimitLayer), which waits in `poll_ready`.
///
/// The limiter is a [`JointLimiter`], or a [`StoredJointLimiter`](crate::StoredJointLimiter) whose limits a store
/// keeps. The limits belong to it: all layers that are given it, their services and all their
/// clones share them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_ratelimit::{JointLayer, JointLimiter, LeakyBucket, Rate, SlidingWindow};
///
/// #[derive(Clone)]
/// struct Job { tenant: u64, pages: u32 }
///
/// let mut limits = JointLimiter::builder();
/// let per_tenant = limits.limit("per tenant", SlidingWindow::new(Rate::per_minute(60)?))?;
/// let printer = limits.limit("printer", LeakyBucket::new(Rate::per_second(1)?).capacity(20)?)?;
/// let layer = JointLayer::new(limits.build(), move |limits: &JointLimiter, job: &Job| {
///     limits.on(per_tenant, &job.tenant).on_many(printer, &(), job.pages)
/// })
/// .respond(|refused| Ok(format!("{} is used up", refused.limit().unwrap_or_default())));
///
/// let print = service_fn(async |_: Job| Ok::<_, Infallible>(String::from("printed")));
/// let print = ServiceBuilder::new().layer(layer).service(print);
/// let job = Job { tenant: 7, pages: 15 };
/// assert_eq!(print.clone().oneshot(job.clone()).await?, "printed");
/// assert_eq!(print.oneshot(job).await?, "printer is used up");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JointLayer<F, R = Fail, L = JointLimiter> {
    limiter: L,
    rules: F,
    patience: Patience,
    reply: R,
}

impl<F, L> JointLayer<F, Fail, L> {
    /// Creates a layer that refuses, by these [rules](super::JointRules). Its services fail with
    /// [`Error<E>`](crate::Error).
    pub fn new(limiter: L, rules: F) -> Self {
        Self { limiter, rules, patience: Patience::Now, reply: Fail }
    }

    /// Answers calls that are not let through by a function, which returns a response or an error
    /// of the inner service's type.
    pub fn respond<A, O>(self, answer: A) -> JointLayer<F, Respond<A>, L>
    where
        A: Fn(RateLimited) -> O,
    {
        self.reply(Respond(answer))
    }

    /// Sets how refused calls are answered, such as by
    /// [`TooManyRequests`](crate::http::TooManyRequests).
    pub fn reply<R>(self, reply: R) -> JointLayer<F, R, L> {
        self.map_reply(|_| reply)
    }
}

impl<F, R, L> JointLayer<F, R, L> {
    pub(crate) fn limiter(&self) -> &L {
        &self.limiter
    }

    /// The same with other rules and another way to reply.
    pub(crate) fn map<G, T>(
        self,
        rules: impl FnOnce(F) -> G,
        answer: impl FnOnce(R) -> T,
    ) -> JointLayer<G, T, L> {
        let Self { limiter, rules: before, patience, reply } = self;
        JointLayer { limiter, rules: rules(before), patience, reply: answer(reply) }
    }

    pub(crate) fn map_reply<T>(self, map: impl FnOnce(R) -> T) -> JointLayer<F, T, L> {
        self.map(|rules| rules, map)
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
}

impl<S, F: Clone, R: Clone, L: Clone> Layer<S> for JointLayer<F, R, L> {
    type Service = Joint<S, F, R, L>;

    fn layer(&self, inner: S) -> Self::Service {
        Joint {
            inner,
            limiter: self.limiter.clone(),
            rules: self.rules.clone(),
            patience: self.patience,
            reply: self.reply.clone(),
        }
    }
}
