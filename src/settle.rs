//! Calls whose cost is known once there is a response.

use crate::{
    error::RateLimited,
    joint::{JointLayer, JointRules},
    layer::RateLimitLayer,
    limiter::{LimitId, Settle, Settled, Settles, Standing, Terms},
    per_key::{KeySource, MissingKey, PerKeyLayer},
    reply::Reply,
};
use std::{any::Any, fmt, marker::PhantomData};
use tower_layer::Layer;

/// A layer whose calls are settled once there is a response; made by
/// [`PerKeyLayer::settle`], [`RateLimitLayer::settle`] and [`JointLayer::settle`], after everything
/// else was set.
#[derive(Clone, Debug)]
pub struct SettleLayer<L>(L);

/// A key source, rules or a reply, of calls whose cost the response tells; a part of a
/// [`SettleLayer`].
///
/// `A` is what is kept of a call until then.
pub struct Settling<T, F, A> {
    of: T,
    cost: F,
    account: PhantomData<fn() -> A>,
}

type Account<L> = <L as Settles>::Account;
type SettledPerKey<K, L, F> = SettleLayer<PerKeyLayer<Settling<K, F, Account<L>>, Settled<L>>>;
type SettledTogether<L, R, F> = SettleLayer<RateLimitLayer<Settled<L>, Settling<R, F, Account<L>>>>;
type SettledJointly<P, R, L, F, A> =
    SettleLayer<JointLayer<Settling<P, (), A>, Settling<R, F, A>, L>>;

impl<K, L: Settles> PerKeyLayer<K, L> {
    /// Lets the response say what a call has cost in all: only failures, only what was sent, as many
    /// tokens as the answer took.
    ///
    /// A call takes its permits in advance as usual, [one](Self::terms) by default, and is
    /// refused or waits as usual. When there is a response, the function says what it has cost, and
    /// the difference goes back to the limit or is charged. What is charged and not there is a
    /// debt, and no call passes before it is paid off: the limit is exceeded by no more than what
    /// the calls in flight at one time turn out to cost more than they took in advance.
    ///
    /// Of permits that go back the limit may have [recovered](crate::Permit::refund) some by itself
    /// since, which do not come back twice; what is charged is charged in full. So where the cost varies
    /// take rather little in advance, but not nothing: a call that took nothing passes whatever the
    /// debt, and is not settled.
    ///
    /// What is known only when the body of the response has ended is charged by hand then
    /// ([`RateLimiter::charge`](crate::RateLimiter::charge)).
    ///
    /// A call that fails (with an error of the inner service, not with a response that tells of one)
    /// or is dropped before there is a response keeps what it took in advance, and so it does when
    /// the function panics. Where calls [hold](crate::algorithm::Held) their permits until they end there is
    /// nothing to settle.
    ///
    /// Only failed logins count, and five a minute are enough:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::{Request, Response, StatusCode};
    /// use std::convert::Infallible;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow};
    ///
    /// let by_user = |login: &Request<&'static str>| *login.body();
    /// let limit = RateLimitLayer::per_key(by_user, SlidingWindow::new(Rate::per_minute(5)?))
    ///     .settle(|response: &Response<()>| u32::from(response.status() == StatusCode::UNAUTHORIZED));
    /// let service = ServiceBuilder::new().layer(limit).service(service_fn(async |login: Request<_>| {
    ///     let status = match *login.body() {
    ///         "alice" => StatusCode::OK,
    ///         _ => StatusCode::UNAUTHORIZED,
    ///     };
    ///     Ok::<_, Infallible>(Response::builder().status(status).body(()).expect("a response"))
    /// }));
    ///
    /// for _ in 0..10 {
    ///     service.clone().oneshot(Request::new("alice")).await?;
    /// }
    /// for _ in 0..5 {
    ///     service.clone().oneshot(Request::new("mallory")).await?;
    /// }
    /// service.oneshot(Request::new("mallory")).await.expect_err("five failures in a minute");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A thousand tokens a minute, whatever a question takes:
    ///
    /// ```
    /// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer, Terms};
    ///
    /// struct Question { user: u64, text: String }
    /// struct Answer { tokens: u32 }
    ///
    /// let tokens = LeakyBucket::new(Rate::per_minute(1000)?).capacity(1000)?;
    /// let layer = RateLimitLayer::per_key(|question: &Question| question.user, tokens)
    ///     // The least that it will take.
    ///     .terms(|question: &Question, terms| Terms {
    ///         cost: u32::try_from(question.text.len() / 4).unwrap_or(u32::MAX).max(1),
    ///         ..terms
    ///     })
    ///     .settle(|answer: &Answer| answer.tokens);
    /// # let _ = layer;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn settle<F, Res, C>(self, cost: F) -> SettledPerKey<K, L, F>
    where
        F: Fn(&Res) -> C,
        L::Account: Settle<C>,
    {
        SettleLayer(self.map_limiter(Settled).map_source(|source| Settling::new(source, cost)))
    }
}

impl<L: Settles, R> RateLimitLayer<L, R> {
    /// Lets the response say what a call has cost in all, as [`PerKeyLayer::settle`] does. In
    /// advance a call takes [`cost`](RateLimitLayer::cost) permits.
    pub fn settle<F, Res, C>(self, cost: F) -> SettledTogether<L, R, F>
    where
        F: Fn(&Res) -> C,
        L::Account: Settle<C>,
    {
        SettleLayer(self.map_limiter(Settled).map_reply(|reply| Settling::new(reply, cost)))
    }
}

impl<P, R, L> JointLayer<P, R, L> {
    /// Lets the response say what a call has cost in all at some of its limits, as
    /// [`PerKeyLayer::settle`] does. At the others, and at those that it is not subject to, nothing
    /// changes; a limit that it is subject to with several keys is settled for each of them.
    ///
    /// ```
    /// use tower_ratelimit::{JointLayer, JointLimiter, LeakyBucket, Rate, SlidingWindow};
    ///
    /// struct Question { user: u64 }
    /// struct Answer { tokens: u32 }
    ///
    /// let mut limits = JointLimiter::builder();
    /// let questions = limits.limit("questions", SlidingWindow::new(Rate::per_minute(20)?))?;
    /// let bucket = LeakyBucket::new(Rate::per_minute(1000)?).capacity(1000)?;
    /// let tokens = limits.limit("tokens", bucket)?;
    /// let layer = JointLayer::new(limits.build(), move |limits: &JointLimiter, question: &Question| {
    ///     limits.on(questions, &question.user).on(tokens, &question.user)
    /// })
    /// .settle(move |answer: &Answer| [(tokens, answer.tokens)]);
    /// # let _ = layer;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn settle<F, Request, Res, C, A>(self, costs: F) -> SettledJointly<P, R, L, F, A>
    where
        P: JointRules<Request, L, OnLimits: Settles<Account = A>>,
        F: Fn(&Res) -> C,
        C: IntoIterator<Item = (LimitId, u32)>,
        A: Settle<C>,
    {
        SettleLayer(self.map(|rules| Settling::new(rules, ()), |reply| Settling::new(reply, costs)))
    }
}

impl<S, L: Layer<S>> Layer<S> for SettleLayer<L> {
    type Service = L::Service;

    fn layer(&self, inner: S) -> L::Service {
        self.0.layer(inner)
    }
}

impl<T, F, A> Settling<T, F, A> {
    fn new(of: T, cost: F) -> Self {
        Self { of, cost, account: PhantomData }
    }
}

impl<K, F, A, Request> KeySource<Request> for Settling<K, F, A>
where
    K: KeySource<Request>,
    F: Clone,
{
    type Key = K::Key;
    type Reply = Settling<K::Reply, F, A>;

    const ADDS: bool = K::ADDS;

    fn key(&self, request: &Request) -> Result<K::Key, MissingKey> {
        self.of.key(request)
    }

    fn reply(&self) -> Self::Reply {
        Settling::new(self.of.reply(), self.cost.clone())
    }

    fn terms(&self, request: &Request, terms: Terms) -> Terms {
        self.of.terms(request, terms)
    }

    fn is_exempt(&self, request: &Request) -> bool {
        self.of.is_exempt(request)
    }
}

impl<P, A, Request, L> JointRules<Request, L> for Settling<P, (), A>
where
    P: JointRules<Request, L, OnLimits: Settles>,
{
    type OnLimits = Settled<P::OnLimits>;

    fn limits(&self, limiter: &L, request: &Request) -> Result<Self::OnLimits, MissingKey> {
        self.of.limits(limiter, request).map(Settled)
    }
}

impl<R, F, A, Res, E, C> Reply<Res, E> for Settling<R, F, A>
where
    R: Reply<Res, E>,
    F: Fn(&Res) -> C + Clone,
    A: Settle<C>,
{
    type Error = R::Error;
    type Note = R::Note;

    fn note(
        &self,
        decided: Result<(), &RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> R::Note {
        self.of.note(decided, limits)
    }

    fn refuse(&self, refusal: RateLimited, note: R::Note) -> Result<Res, R::Error> {
        self.of.refuse(refusal, note)
    }

    fn inner(&self, error: E) -> R::Error {
        self.of.inner(error)
    }

    fn responded<H: Send + Sync + 'static>(&self, response: &mut Res, mut hold: H, note: R::Note) {
        let cost = (self.cost)(response);
        // It always is one: the layer gave the service a limiter that keeps it. Most limiters keep
        // nothing that could be settled, so this is not asked of what they keep.
        if let Some(account) = (&mut hold as &mut dyn Any).downcast_mut::<A>() {
            account.settle(cost);
        }
        self.of.responded(response, hold, note);
    }
}

/// By hand, as a derived one would ask for an account that can be cloned.
impl<T: Clone, F: Clone, A> Clone for Settling<T, F, A> {
    fn clone(&self) -> Self {
        Self::new(self.of.clone(), self.cost.clone())
    }
}

impl<T: fmt::Debug, F, A> fmt::Debug for Settling<T, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settling").field(&self.of).finish()
    }
}
