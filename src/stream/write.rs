//! Bytes written a second.

use super::payer::Payer;
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
    /// A writer with a limit on the bytes a second: each permit is a byte.
    ///
    /// It keeps no bytes: a write is pending until there are permits for it, then as many bytes are
    /// written as they suffice for, at most as many as the limit can grant at once. Permits that find
    /// the inner writer busy go back at once, to the next in line, and the write gets in line
    /// again once it is not. When the inner writer takes fewer bytes than were paid for, the rest is
    /// kept for the next write; dropping the writer does not give that back. Flushing and shutting down
    /// cost nothing. Reading is passed through; wrap it in a [`ThrottledRead`](super::ThrottledRead)
    /// to limit that, too.
    ///
    /// Suitable algorithms are those of a [`ThrottledRead`](super::ThrottledRead).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncWriteExt;
    /// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter, stream::ThrottledWrite};
    ///
    /// // A thousand bytes a second, at most a hundred of them at once.
    /// let limit = LeakyBucket::new(Rate::per_second(1000)?).capacity(100)?;
    /// let mut writer = ThrottledWrite::new(Vec::new(), RateLimiter::new(limit));
    ///
    /// let start = tokio::time::Instant::now();
    /// writer.write_all(&[7; 600]).await?;
    /// assert_eq!(writer.into_inner(), [7; 600]);
    /// assert_eq!(start.elapsed().as_millis(), 500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the inner writer, and an [`io::Error`] with a [`RateLimited`](crate::RateLimited) in
    /// it when there are no permits, as with a [`ThrottledRead`](super::ThrottledRead). Nothing was
    /// written then.
    ///
    /// # Cancel safety
    ///
    /// A write that was dropped has written nothing. Its place in line is kept for the next write;
    /// dropping the writer gives it up.
    pub struct ThrottledWrite<IO, L: Limiter> {
        #[pin]
        inner: IO,
        payer: Payer<L>,
        // Bytes that were paid for and not written.
        credit: usize,
        // Bytes that were written with permits that perished in that moment.
        debt: usize,
    }
}

impl<IO, A: Algorithm> ThrottledWrite<IO, RateLimiter<A>> {
    /// Limits what is written. At once it writes at most as many bytes as the limit can grant, as
    /// it is now; should the limit become smaller, it goes on in smaller pieces.
    pub fn new(io: IO, limiter: RateLimiter<A>) -> Self {
        Self { inner: io, payer: Payer::new(limiter), credit: 0, debt: 0 }
    }
}

impl<IO, L: Limiter> ThrottledWrite<IO, L> {
    /// Limits what is written by any algorithm or limiter, at most `most` bytes at once, 1 and up.
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
        Ok(Self { inner: io, payer, credit: 0, debt: 0 })
    }

    /// Returns the inner writer.
    pub fn get_ref(&self) -> &IO {
        &self.inner
    }

    /// Returns the inner writer. Writing there is not limited.
    pub fn get_mut(&mut self) -> &mut IO {
        &mut self.inner
    }

    /// Takes the inner writer out.
    pub fn into_inner(self) -> IO {
        self.inner
    }

    /// Returns the limiter, shared with its other users.
    pub fn limiter(&self) -> &L {
        self.payer.limiter()
    }
}

impl<IO: AsyncWrite, L: Limiter> AsyncWrite for ThrottledWrite<IO, L> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        if bytes.is_empty() {
            return this.inner.poll_write(cx, bytes);
        }
        while *this.debt > 0 {
            let paid = ready!(this.payer.poll_paid(cx, *this.debt))?;
            *this.credit += paid.saturating_sub(*this.debt);
            *this.debt = this.debt.saturating_sub(paid);
        }
        if *this.credit > 0 {
            let written = ready!(this.inner.poll_write(cx, first(bytes, *this.credit)))?;
            *this.credit = this.credit.saturating_sub(written);
            return Poll::Ready(Ok(written));
        }
        let reserved = ready!(this.payer.poll_reserved(cx, bytes.len()))?;
        let written = match this.inner.poll_write(cx, first(bytes, reserved)) {
            Poll::Ready(Ok(written)) if written > 0 => written,
            nothing => {
                this.payer.give_back();
                return nothing;
            }
        };
        match this.payer.spend() {
            true => *this.credit = reserved.saturating_sub(written),
            false => *this.debt = written,
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }
}

fn first(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

impl<IO: AsyncRead, L: Limiter> AsyncRead for ThrottledWrite<IO, L> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(cx, buf)
    }
}

impl<IO: fmt::Debug, L: Limiter> fmt::Debug for ThrottledWrite<IO, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottledWrite").field("inner", &self.inner).finish_non_exhaustive()
    }
}
