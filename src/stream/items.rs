//! A stream that hands out its items at the pace of a limit.

use super::{Refused, permit::poll_permit};
use crate::{
    limiter::{IntoLimiter, Limiter},
    seat::Seat,
};
use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Extends every [`Stream`] by [`rate_limited`](Self::rate_limited).
pub trait RateLimitStream: Stream {
    /// Hands out each item once there is a permit for it; see [`LimitedStream`].
    ///
    /// It takes an algorithm, with fresh state in memory, or a limiter, whose state is shared with
    /// its other users.
    ///
    /// Where the stream is also a sink and [`RateLimitSink`](super::RateLimitSink) is in scope,
    /// write `RateLimitStream::rate_limited(stream, limiter)`.
    fn rate_limited<M, I>(self, limiter: I) -> LimitedStream<Self, I::Limiter>
    where
        Self: Sized,
        I: IntoLimiter<M>,
    {
        LimitedStream {
            inner: self,
            seat: Seat::new(limiter.into_limiter()),
            cost: |_| 1,
            next: None,
            hold: None,
        }
    }
}

impl<S: Stream> RateLimitStream for S {}

pin_project! {
    /// A stream whose items come at the pace of a limit; made by [`RateLimitStream::rate_limited`].
    ///
    /// The item comes first, then it waits for its permit, and then it is handed out, so that no
    /// permit lies idle while the inner stream is pending. The end needs no permit. An item costs one
    /// unless [`cost`](Self::cost) says otherwise.
    ///
    /// Where calls hold their permits, as in [`Concurrency`](crate::Concurrency) and
    /// [`Serialized`](crate::Serialized), an item holds its own until the stream is polled for the
    /// next one, or dropped: a limit of three shared by many streams lets three items be worked on at
    /// the same time. One task that takes an item of one such stream, and then waits for another
    /// stream without polling the first, may wait for itself.
    ///
    /// # Errors
    ///
    /// An item that gets no permit comes out all the same, and in its place, as a [`Refused`] with
    /// the item in it: when it costs more than could ever be had, when the quota is spent, when the
    /// line is full, when waiting calls are cancelled, and when the limiter was closed. The stream
    /// goes on after it.
    ///
    /// # Cancel safety
    ///
    /// A future of the next item can be dropped: the item and its place in line are the stream's.
    /// Dropping the stream drops the item and gives up the place.
    #[must_use = "streams do nothing unless polled"]
    pub struct LimitedStream<S: Stream, L: Limiter, C = fn(&<S as Stream>::Item) -> u32> {
        #[pin]
        inner: S,
        seat: Seat<L>,
        cost: C,
        // The item that waits for its permit, and what it costs.
        next: Option<(S::Item, u32)>,
        // Of the item handed out last, until the next one is asked for.
        hold: Option<L::Hold>,
    }
}

impl<S: Stream, L: Limiter, C> LimitedStream<S, L, C> {
    /// Sets how many permits an item takes. At a cost of 0 it passes without one, and also overtakes
    /// calls in line, though not the items before it.
    ///
    /// So the errors of a stream can pass free of charge:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::{StreamExt, stream};
    /// use tower_ratelimit::{Rate, Strict, stream::RateLimitStream};
    ///
    /// let results = stream::iter([Ok(1), Err("no answer"), Err("again"), Ok(2)])
    ///     .rate_limited(Strict::new(Rate::per_second(10)?))
    ///     .cost(|result| u32::from(result.is_ok()));
    ///
    /// let start = tokio::time::Instant::now();
    /// assert_eq!(results.count().await, 4);
    /// assert_eq!(start.elapsed().as_millis(), 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cost<F>(self, cost: F) -> LimitedStream<S, L, F>
    where
        F: FnMut(&S::Item) -> u32,
    {
        let Self { inner, seat, next, hold, .. } = self;
        LimitedStream { inner, seat, cost, next, hold }
    }

    /// Returns the inner stream.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner stream. Taking items from it is not limited.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the inner stream out; an item that waits for its permit is dropped.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Returns the limiter, shared with its other users.
    pub fn limiter(&self) -> &L {
        self.seat.limiter()
    }
}

impl<S, L, C> Stream for LimitedStream<S, L, C>
where
    S: Stream,
    L: Limiter,
    C: FnMut(&S::Item) -> u32,
{
    type Item = Result<S::Item, Refused<S::Item>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        // Whoever asks for an item is done with the one before.
        *this.hold = None;
        let cost = match this.next {
            Some((_, cost)) => *cost,
            None => {
                let Some(item) = ready!(this.inner.poll_next(cx)) else {
                    return Poll::Ready(None);
                };
                let cost = (this.cost)(&item);
                *this.next = Some((item, cost));
                cost
            }
        };
        let permit = ready!(poll_permit(this.seat, cx, cost));
        Poll::Ready(this.next.take().map(|(item, _)| match permit {
            Ok(hold) => {
                *this.hold = Some(hold);
                Ok(item)
            }
            Err(refusal) => Err(Refused::new(item, refusal)),
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.inner.size_hint();
        let waiting = usize::from(self.next.is_some());
        (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
    }
}

impl<S, L, C> FusedStream for LimitedStream<S, L, C>
where
    S: FusedStream,
    L: Limiter,
    C: FnMut(&S::Item) -> u32,
{
    fn is_terminated(&self) -> bool {
        self.next.is_none() && self.inner.is_terminated()
    }
}

impl<S: Stream + fmt::Debug, L: Limiter, C> fmt::Debug for LimitedStream<S, L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedStream")
            .field("inner", &self.inner)
            .field("seat", &self.seat)
            .finish_non_exhaustive()
    }
}
