//! A sink that passes on its items at the pace of a limit.

use super::permit::poll_permit;
use crate::{
    error::Error,
    limiter::{IntoLimiter, Limiter},
    seat::Seat,
};
use futures_sink::Sink;
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Extends every [`Sink`] by [`rate_limited`](Self::rate_limited).
pub trait RateLimitSink<Item>: Sink<Item> {
    /// Passes on each item once there is a permit for it; see [`LimitedSink`].
    ///
    /// It takes an algorithm, with fresh state in memory, or a limiter, whose state is shared with
    /// its other users.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::{SinkExt, sink};
    /// use tower_ratelimit::{Rate, Strict, stream::RateLimitSink};
    ///
    /// let mut sink = sink::drain().rate_limited(Strict::new(Rate::per_second(10)?));
    /// let start = tokio::time::Instant::now();
    /// for message in ["one", "two", "three"] {
    ///     sink.send(message).await?;
    /// }
    /// assert_eq!(start.elapsed().as_millis(), 200);
    /// # Ok(())
    /// # }
    /// ```
    fn rate_limited<M, I>(self, limiter: I) -> LimitedSink<Self, Item, I::Limiter>
    where
        Self: Sized,
        I: IntoLimiter<M>,
    {
        let seat = Seat::new(limiter.into_limiter());
        LimitedSink { inner: self, seat, cost: |_| 1, next: None }
    }
}

impl<S: Sink<Item>, Item> RateLimitSink<Item> for S {}

pin_project! {
    /// A sink that passes on its items at the pace of a limit; made by
    /// [`RateLimitSink::rate_limited`].
    ///
    /// It keeps one item at most. The item waits until the inner sink is ready, then for its permit,
    /// and is passed on the moment that is there; the next one is taken in after that. While an item
    /// waits for its permit the inner sink is flushed, so that those before it leave at their time.
    /// As with any sink that keeps items, the last one is passed on by a flush or by closing, which
    /// need no permit themselves.
    ///
    /// Where calls hold their permits, as in [`Concurrency`](crate::Concurrency) and
    /// [`Serialized`](crate::Serialized), the call of an item is over as soon as the inner sink has
    /// taken it.
    ///
    /// # Errors
    ///
    /// [`Error::Inner`] from the inner sink. [`Error::Limited`] when an item gets no permit: it costs
    /// more than could ever be had, the quota is spent, the line is full, waiting calls were
    /// cancelled, or the limiter was closed. The item is kept then, and asks again when the sink is
    /// polled again; [`take_unsent`](Self::take_unsent) takes it out and lets the sink go on with the next
    /// one.
    ///
    /// # Panics
    ///
    /// `start_send` panics when `poll_ready` was not ready before.
    #[must_use = "sinks do nothing unless polled"]
    pub struct LimitedSink<S, Item, L: Limiter, C = fn(&Item) -> u32> {
        #[pin]
        inner: S,
        seat: Seat<L>,
        cost: C,
        // The item that waits to be passed on, and what it costs.
        next: Option<(Item, u32)>,
    }
}

impl<S, Item, L: Limiter, C> LimitedSink<S, Item, L, C> {
    /// Sets how many permits an item takes. At a cost of 0 it passes without one.
    pub fn cost<F>(self, cost: F) -> LimitedSink<S, Item, L, F>
    where
        F: FnMut(&Item) -> u32,
    {
        let Self { inner, seat, next, .. } = self;
        LimitedSink { inner, seat, cost, next }
    }

    /// Takes out the item that was not passed on yet, if there is one, and gives up its place in
    /// line.
    pub fn take_unsent(self: Pin<&mut Self>) -> Option<Item> {
        let this = self.project();
        this.seat.vacate();
        this.next.take().map(|(item, _)| item)
    }

    /// Returns the inner sink.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner sink. Sending to it is not limited.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner sink out; an item that was not passed on is dropped.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Returns the limiter, shared with its other users.
    pub fn limiter(&self) -> &L {
        self.seat.limiter()
    }
}

impl<S: Sink<Item>, Item, L: Limiter, C> LimitedSink<S, Item, L, C> {
    /// Ready once no item is kept any more.
    fn poll_passed_on(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error<S::Error>>> {
        let mut this = self.project();
        let Some((_, cost)) = this.next else { return Poll::Ready(Ok(())) };
        // The permit last, so that none lies idle while the inner sink is busy.
        ready!(this.inner.as_mut().poll_ready(cx)).map_err(Error::Inner)?;
        let Poll::Ready(permit) = poll_permit(this.seat, cx, *cost) else {
            return match this.inner.poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(Error::Inner(error))),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            };
        };
        // Until the inner sink has the item.
        let _hold = permit.map_err(Error::Limited)?;
        Poll::Ready(match this.next.take() {
            Some((item, _)) => this.inner.start_send(item).map_err(Error::Inner),
            None => Ok(()),
        })
    }
}

impl<S, Item, L, C> Sink<Item> for LimitedSink<S, Item, L, C>
where
    S: Sink<Item>,
    L: Limiter,
    C: FnMut(&Item) -> u32,
{
    type Error = Error<S::Error>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_passed_on(cx)
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
        let this = self.project();
        assert!(this.next.is_none(), "`poll_ready` must be ready before `start_send`");
        let cost = (this.cost)(&item);
        *this.next = Some((item, cost));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_passed_on(cx))?;
        self.project().inner.poll_flush(cx).map_err(Error::Inner)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_passed_on(cx))?;
        self.project().inner.poll_close(cx).map_err(Error::Inner)
    }
}

impl<S: fmt::Debug, Item, L: Limiter, C> fmt::Debug for LimitedSink<S, Item, L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedSink")
            .field("inner", &self.inner)
            .field("seat", &self.seat)
            .field("unsent", &self.next.is_some())
            .finish_non_exhaustive()
    }
}
