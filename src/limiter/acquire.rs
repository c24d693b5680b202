//! Waiting for permits, on what terms: a task awaits them, a thread blocks.

use super::{Attempt, Patience, Permit, Terms, Waiting, shared::Shared};
use crate::{
    algorithm::Algorithm,
    error::RateLimited,
    store::table::{Fingerprint, KeptKey},
};
use std::{
    fmt,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

/// Waits in line for permits; the future of [`RateLimiter::acquire`](super::RateLimiter::acquire) and
/// [`RateLimiter::reserve`](super::RateLimiter::reserve), and for one of many keys that of
/// [`KeyedRateLimiter::acquire`](super::KeyedRateLimiter::acquire).
///
/// It gets in line when it is polled for the first time. By default it asks for one permit and
/// waits as long as it takes. Threads wait with [`blocking_wait`](Self::blocking_wait).
///
/// # Errors
///
/// [`RateLimited`] when the permits were not granted on these terms, when the cost is above what
/// could ever be had, and when the line is full.
///
/// # Cancel safety
///
/// Dropped while it waits, it gives up its place in line. Dropped after permits were granted to
/// it and before it was polled again, the permits go to the next in line. Nothing is lost.
///
/// # Panics
///
/// When it has to wait outside a tokio runtime with a timer, unless the limiter runs on a
/// [`ManualClock`](crate::ManualClock); when the runtime on which it began to wait has shut down;
/// and when polled again after it was ready.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a, A: Algorithm, G = Permit<'a, A>> {
    pub(super) shared: &'a Arc<Shared<A>>,
    pub(super) key: Fingerprint,
    stage: Stage<A>,
    /// Keeps the name of the key, where no handle does.
    _name: Option<KeptKey>,
    granted: PhantomData<fn() -> G>,
}

/// How far it has got.
enum Stage<A: Algorithm> {
    /// It will ask on these terms.
    Asks(Terms),
    /// In a box, as most need not wait, and so that it can be moved between polls.
    Waits(Pin<Box<Waiting<A>>>),
    /// It was ready already.
    Done,
}

/// The output of an [`Acquire`]: permits used at once, or kept for later.
pub trait Granted<'a, A: Algorithm>: Sized {
    #[doc(hidden)]
    fn ask(
        acquire: &Acquire<'a, A, Self>,
        terms: &Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Self, Waiting<A>>;

    #[doc(hidden)]
    fn poll(
        acquire: &mut Acquire<'a, A, Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self, RateLimited>>;

    #[doc(hidden)]
    fn block(
        acquire: &Acquire<'a, A, Self>,
        waiting: Pin<&mut Waiting<A>>,
    ) -> Result<Self, RateLimited>;
}

impl<'a, A: Algorithm, G: Granted<'a, A>> Acquire<'a, A, G> {
    #[inline]
    pub(super) fn new(shared: &'a Arc<Shared<A>>, key: Fingerprint, name: Option<KeptKey>) -> Self {
        let stage = Stage::Asks(Terms { cost: 1, patience: Patience::Forever });
        Self { shared, key, stage, _name: name, granted: PhantomData }
    }

    /// Asks for this many permits. A call of cost 0 passes and takes nothing.
    pub fn cost(self, cost: u32) -> Self {
        self.on(|terms| terms.cost = cost)
    }

    /// Fails at once when the wait would be longer than this, and takes nothing.
    pub fn max_wait(self, max_wait: Duration) -> Self {
        self.on(|terms| terms.patience = Patience::MaxWait(max_wait))
    }

    /// Waits at most this long, and then fails: it waits even if its turn would come later, as
    /// calls before it may give up.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.on(|terms| terms.patience = Patience::Timeout(timeout))
    }

    pub(super) fn terms(self, terms: Terms) -> Self {
        self.on(|before| *before = terms)
    }

    /// The place in line that it has.
    pub(super) fn in_line(&mut self) -> Pin<&mut Waiting<A>> {
        match &mut self.stage {
            Stage::Waits(waiting) => Some(waiting.as_mut()),
            Stage::Asks(_) | Stage::Done => None,
        }
        .expect("polled after it was ready")
    }

    /// Gets in line, unless it stands there; the result if it has not to wait.
    #[inline(always)]
    fn ask(&mut self, waker: Option<&Waker>) -> Option<Result<G, RateLimited>> {
        let Stage::Asks(terms) = &self.stage else { return None };
        match G::ask(self, terms, waker) {
            Attempt::Now(result) => {
                self.stage = Stage::Done;
                Some(result)
            }
            Attempt::Later(waiting) => {
                self.stage = Stage::Waits(Box::pin(waiting));
                None
            }
        }
    }

    /// On other terms, unless it has asked.
    fn on(mut self, change: impl FnOnce(&mut Terms)) -> Self {
        if let Stage::Asks(terms) = &mut self.stage {
            change(terms);
        }
        self
    }

    /// Waits in this thread, and needs no runtime.
    ///
    /// Threads and tasks stand in the same line and are served in the order in which they asked,
    /// on the same terms.
    ///
    /// A task that calls it holds up all other tasks of its worker; within a runtime it belongs in
    /// `spawn_blocking`. On a clock that does not move by itself a thread waits until it is
    /// moved. A [`ManualClock`](crate::ManualClock) wakes the thread when it moves;
    /// tokio's paused clock does not, nor does it move on while `spawn_blocking` runs: the thread
    /// looks at it again each time as much real time has passed as seemed to be left.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    /// use tower_ratelimit::{BurstCompensating, Rate, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(1000)?));
    /// thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| limiter.acquire().blocking_wait().map(|_| "one call"));
    ///     }
    /// });
    /// let short = Duration::from_micros(1);
    /// while limiter.acquire().max_wait(short).blocking_wait().is_ok() {}
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As the future: see [`Acquire`].
    ///
    /// # Panics
    ///
    /// When the future was ready already.
    pub fn blocking_wait(mut self) -> Result<G, RateLimited> {
        if let Some(result) = self.ask(None) {
            return result;
        }
        let waiting = match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Waits(waiting) => Some(waiting),
            Stage::Asks(_) | Stage::Done => None,
        };
        G::block(&self, waiting.expect("waited for after it was ready").as_mut())
    }
}

impl<'a, A: Algorithm, G: Granted<'a, A>> Future for Acquire<'a, A, G> {
    type Output = Result<G, RateLimited>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(result) = this.ask(Some(cx.waker())) {
            return Poll::Ready(result);
        }
        let result = ready!(G::poll(this, cx));
        this.stage = Stage::Done;
        Poll::Ready(result)
    }
}

impl<A: Algorithm, G> fmt::Debug for Acquire<'_, A, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl<A: Algorithm> fmt::Debug for Stage<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Asks(terms) => f.debug_tuple("Asks").field(terms).finish(),
            Stage::Waits(waiting) => f.debug_tuple("Waits").field(waiting).finish(),
            Stage::Done => f.write_str("Done"),
        }
    }
}
