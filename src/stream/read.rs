//! Bytes read a second.

use super::{payer::Payer, stash::Stash};
use crate::{
    algorithm::Algorithm,
    invalid::Invalid,
    limiter::{IntoLimiter, Limiter, RateLimiter},
};
use pin_project_lite::pin_project;
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pin_project! {
    /// A reader with a limit on the bytes a second: each permit is a byte.
    ///
    /// Bytes are read first, then paid for, and then handed out, so that no permit lies idle while
    /// the inner reader has nothing, and never more come out than the limit allows, to the byte. At
    /// most as many are read at once as the limit can grant: what is not wanted yet stays with the
    /// sender. The end and errors cost nothing. Writing is passed through; wrap it in a
    /// [`ThrottledWrite`](super::ThrottledWrite) to limit that, too, by the same limiter or another one.
    ///
    /// The algorithm to take is a [`LeakyBucket`](crate::LeakyBucket) or a
    /// [`TokenBucket`](crate::TokenBucket) with a capacity of some kilobytes. Where calls hold their
    /// permits, bytes do not: their call is over when they are handed out.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncReadExt;
    /// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter, stream::ThrottledRead};
    ///
    /// // A thousand bytes a second, at most a hundred of them at once.
    /// let limit = LeakyBucket::new(Rate::per_second(1000)?).capacity(100)?;
    /// let file = &[7; 600][..];
    /// let mut reader = ThrottledRead::new(file, RateLimiter::new(limit));
    ///
    /// let start = tokio::time::Instant::now();
    /// let mut bytes = Vec::new();
    /// reader.read_to_end(&mut bytes).await?;
    /// assert_eq!(bytes, file);
    /// assert_eq!(start.elapsed().as_millis(), 500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the inner reader, and an [`io::Error`] with a [`RateLimited`](crate::RateLimited) in
    /// it when there are no permits: the quota is spent, the line is full, waiting calls were
    /// cancelled, or the limiter was closed. The bytes are kept then, and asked for again when the
    /// reader is polled again.
    ///
    /// # Cancel safety
    ///
    /// A read can be dropped at any time: bytes that wait for their permits are kept, and so is
    /// their place in line. Dropping the reader gives that up.
    pub struct ThrottledRead<IO, L: Limiter> {
        #[pin]
        inner: IO,
        payer: Payer<L>,
        stash: Stash,
    }
}

impl<IO, A: Algorithm> ThrottledRead<IO, RateLimiter<A>> {
    /// Limits what is read. At once it reads at most as many bytes as the limit can grant, as it is
    /// now; should the limit become smaller, it goes on in smaller pieces.
    pub fn new(io: IO, limiter: RateLimiter<A>) -> Self {
        Self { inner: io, payer: Payer::new(limiter), stash: Stash::default() }
    }
}

impl<IO, L: Limiter> ThrottledRead<IO, L> {
    /// Limits what is read by any algorithm or limiter, at most `most` bytes at once, 1 and up.
    /// Should the limiter find that [too costly](crate::Reason::TooCostly), it goes on in smaller
    /// pieces.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the number is zero.
    pub fn in_pieces<M, I>(io: IO, limiter: I, most: u32) -> Result<Self, Invalid>
    where
        I: IntoLimiter<M, Limiter = L>,
    {
        let payer = Payer::in_pieces(limiter.into_limiter(), most)?;
        Ok(Self { inner: io, payer, stash: Stash::default() })
    }

    /// Returns the inner reader.
    pub fn get_ref(&self) -> &IO {
        &self.inner
    }

    /// Returns the inner reader. Reading there is not limited, and overtakes bytes that wait for
    /// their permits.
    pub fn get_mut(&mut self) -> &mut IO {
        &mut self.inner
    }

    /// Takes the inner reader out; bytes that wait for their permits are dropped.
    pub fn into_inner(self) -> IO {
        self.inner
    }

    /// Returns the limiter, shared with its other users.
    pub fn limiter(&self) -> &L {
        self.payer.limiter()
    }
}

impl<IO: AsyncRead, L: Limiter> AsyncRead for ThrottledRead<IO, L> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        let room = this.payer.piece(buf.remaining());
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.stash.is_empty() {
            let mut piece = ReadBuf::new(buf.initialize_unfilled_to(room));
            ready!(this.inner.as_mut().poll_read(cx, &mut piece))?;
            let read = piece.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            // Bytes that can be paid for at once stay where they are, and are not copied.
            let paid = this.payer.poll_paid(cx, read);
            match paid {
                Poll::Ready(Ok(paid)) if paid == read => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                _ => this.stash.keep(buf.initialize_unfilled_to(read)),
            }
            this.stash.pay(ready!(paid)?);
        }
        while !this.stash.hand_out(buf) {
            let paid = ready!(this.payer.poll_paid(cx, this.stash.unpaid()))?;
            this.stash.pay(paid);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite, L: Limiter> AsyncWrite for ThrottledRead<IO, L> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

impl<IO: fmt::Debug, L: Limiter> fmt::Debug for ThrottledRead<IO, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottledRead").field("inner", &self.inner).finish_non_exhaustive()
    }
}
