//! Permits that are held until the response body has ended.

use crate::{
    error::RateLimited,
    joint::JointLayer,
    layer::RateLimitLayer,
    limiter::{Standing, Terms},
    per_key::{KeySource, MissingKey, PerKeyLayer},
    reply::Reply,
};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// A layer whose calls end with the body of their response; made by
/// [`RateLimitLayer::until_body_end`], [`PerKeyLayer::until_body_end`] and
/// [`JointLayer::until_body_end`].
#[derive(Clone, Debug)]
pub struct UntilBodyEnd<L>(L);

/// The service of an [`UntilBodyEnd`] layer.
#[derive(Clone, Debug)]
pub struct HoldBody<S>(S);

/// A reply that passes the hold of a call on with its response, in an extension.
#[derive(Clone, Copy, Debug)]
pub struct HandOn<R>(R);

/// In an `Arc`, as extensions are to be clones.
#[derive(Clone)]
struct Handed {
    _hold: Arc<dyn Any + Send + Sync>,
}

impl<L, R> RateLimitLayer<L, R> {
    /// Keeps the permits of a call until its response body ends, not only until the head of the
    /// response.
    ///
    /// That matters where calls hold their permits, as in [`Concurrency`](crate::Concurrency): a
    /// download counts as long as it takes. Elsewhere it changes nothing but the type of the body.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use tower_ratelimit::{Concurrency, RateLimitLayer, http::TooManyRequests};
    ///
    /// // At most ten downloads at the same time; the others wait.
    /// let layer = RateLimitLayer::new(Concurrency::new(10)?)
    ///     .reply(TooManyRequests)
    ///     .until_body_end();
    /// let app: Router = Router::new().route("/file", get(async || "content")).layer(layer);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn until_body_end(self) -> UntilBodyEnd<RateLimitLayer<L, HandOn<R>>> {
        UntilBodyEnd(self.map_reply(HandOn))
    }
}

impl<K, L> PerKeyLayer<K, L> {
    /// Keeps the permits of a call until its response body ends, as
    /// [`RateLimitLayer::until_body_end`] does.
    pub fn until_body_end(self) -> UntilBodyEnd<PerKeyLayer<HandOn<K>, L>> {
        UntilBodyEnd(self.map_source(HandOn))
    }
}

impl<F, R, L> JointLayer<F, R, L> {
    /// Keeps the permits of a call until its response body ends, as
    /// [`RateLimitLayer::until_body_end`] does.
    pub fn until_body_end(self) -> UntilBodyEnd<JointLayer<F, HandOn<R>, L>> {
        UntilBodyEnd(self.map_reply(HandOn))
    }
}

impl<S, L: Layer<S>> Layer<S> for UntilBodyEnd<L> {
    type Service = HoldBody<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        HoldBody(self.0.layer(inner))
    }
}

impl<K: KeySource<Request>, Request> KeySource<Request> for HandOn<K> {
    type Key = K::Key;
    type Reply = HandOn<K::Reply>;

    const ADDS: bool = K::ADDS;

    fn key(&self, request: &Request) -> Result<K::Key, MissingKey> {
        self.0.key(request)
    }

    fn reply(&self) -> Self::Reply {
        HandOn(self.0.reply())
    }

    fn terms(&self, request: &Request, terms: Terms) -> Terms {
        self.0.terms(request, terms)
    }

    fn is_exempt(&self, request: &Request) -> bool {
        self.0.is_exempt(request)
    }
}

impl<R, B, E> Reply<Response<B>, E> for HandOn<R>
where
    R: Reply<Response<B>, E>,
{
    type Error = R::Error;
    type Note = R::Note;

    #[inline(always)]
    fn note(
        &self,
        decided: Result<(), &RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> R::Note {
        self.0.note(decided, limits)
    }

    fn refuse(&self, refusal: RateLimited, note: R::Note) -> Result<Response<B>, R::Error> {
        self.0.refuse(refusal, note)
    }

    fn inner(&self, error: E) -> R::Error {
        self.0.inner(error)
    }

    fn responded<H: Send + Sync + 'static>(
        &self,
        response: &mut Response<B>,
        hold: H,
        note: R::Note,
    ) {
        response.extensions_mut().insert(Handed { _hold: Arc::new(hold) });
        self.0.responded(response, (), note);
    }
}

impl<S, RequestBody, B> Service<Request<RequestBody>> for HoldBody<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
{
    type Response = Response<HeldBody<B>>;
    type Error = S::Error;
    type Future = HoldBodyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        HoldBodyFuture { response: self.0.call(request) }
    }
}

pin_project! {
    /// The response future of a [`HoldBody`] service.
    pub struct HoldBodyFuture<F> {
        #[pin]
        response: F,
    }
}

impl<F, B, E> Future for HoldBodyFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<HeldBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.project().response.poll(cx))?;
        let hold = response.extensions_mut().remove();
        Poll::Ready(Ok(response.map(|body| HeldBody { body, hold })))
    }
}

impl<F> fmt::Debug for HoldBodyFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldBodyFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// A body that holds the permits of its call until it was read to the end, failed, or was
    /// dropped.
    pub struct HeldBody<B> {
        #[pin]
        body: B,
        hold: Option<Handed>,
    }
}

impl<B: Default> Default for HeldBody<B> {
    fn default() -> Self {
        Self { body: B::default(), hold: None }
    }
}

impl<B: Body> Body for HeldBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        // Who knows that this was the last frame need not ask for another one.
        if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
            *this.hold = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for HeldBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldBody").field("held", &self.hold.is_some()).finish_non_exhaustive()
    }
}
