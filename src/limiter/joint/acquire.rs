//! Waiting for the permits of several limits, on what terms: a task awaits them, a thread blocks.

use super::{JointPermit, JointWaiting, OnLimits};
use crate::{
    error::RateLimited,
    limiter::{Attempt, Patience, Terms},
};
use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// Waits in line for the permits of several limits; the future of [`OnLimits::acquire`] and
/// [`OnLimits::reserve`].
///
/// It gets in all lines when it is polled for the first time. By default it waits as long as it
/// takes. Threads wait with [`blocking_wait`](Self::blocking_wait).
///
/// # Errors
///
/// [`RateLimited`], in the name of the binding limit, when the permits were not granted on these
/// terms, when a cost is above what could ever be had, and when a line is full.
///
/// # Cancel safety
///
/// Dropped while it waits, it gives up its places in line. Dropped after permits were granted to
/// it and before it was polled again, the permits go to the calls behind it. Nothing is lost.
///
/// # Panics
///
/// When it has to wait outside a tokio runtime with a timer, unless the limiter runs on a
/// [`ManualClock`](crate::ManualClock); when the runtime on which it began to wait has shut down;
/// and when polled again after it was ready.
#[must_use = "futures do nothing unless polled"]
pub struct JointAcquire<G = JointPermit> {
    call: OnLimits,
    terms: Terms,
    /// In a box, so that it can be moved between polls.
    waiting: Option<Pin<Box<JointWaiting>>>,
    /// Whether it was ready already.
    done: bool,
    granted: PhantomData<fn() -> G>,
}

/// The output of a [`JointAcquire`]: permits used at once, or kept for later.
pub trait JointGranted: Sized {
    #[doc(hidden)]
    fn ask(call: &OnLimits, terms: Terms) -> Attempt<Self, JointWaiting>;

    #[doc(hidden)]
    fn poll(
        call: &OnLimits,
        waiting: Pin<&mut JointWaiting>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self, RateLimited>>;

    #[doc(hidden)]
    fn block(call: &OnLimits, waiting: Pin<&mut JointWaiting>) -> Result<Self, RateLimited>;
}

impl<G: JointGranted> JointAcquire<G> {
    pub(super) fn new(call: OnLimits) -> Self {
        let terms = Terms { cost: 1, patience: Patience::Forever };
        Self { call, terms, waiting: None, done: false, granted: PhantomData }
    }

    /// Fails at once when the wait would be longer than this, and takes nothing.
    ///
    /// Where one of the limits waits for calls to end, it is unknown how long that will be, and
    /// this is a time-out as far as that limit is concerned.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.terms.patience = Patience::MaxWait(max_wait);
        self
    }

    /// Waits at most this long, and then fails: it waits even if its turn would come later, as
    /// calls before it may give up.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.terms.patience = Patience::Timeout(timeout);
        self
    }

    /// Waits in this thread, and needs no runtime; see
    /// [`Acquire::blocking_wait`](crate::limiter::Acquire::blocking_wait) for what to mind.
    ///
    /// # Errors
    ///
    /// As the future.
    ///
    /// # Panics
    ///
    /// When the future was ready already.
    pub fn blocking_wait(mut self) -> Result<G, RateLimited> {
        assert!(!self.done, "waited for after it was ready");
        // A future that was polled before has its places in line.
        let mut waiting = match self.waiting.take() {
            Some(waiting) => waiting,
            None => match G::ask(&self.call, self.terms) {
                Attempt::Now(result) => return result,
                Attempt::Later(waiting) => Box::pin(waiting),
            },
        };
        G::block(&self.call, waiting.as_mut())
    }
}

impl<G: JointGranted> Future for JointAcquire<G> {
    type Output = Result<G, RateLimited>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.done, "polled after it was ready");
        let result = match &mut this.waiting {
            Some(waiting) => ready!(G::poll(&this.call, waiting.as_mut(), cx)),
            None => match G::ask(&this.call, this.terms) {
                Attempt::Now(result) => result,
                Attempt::Later(waiting) => {
                    let waiting = this.waiting.insert(Box::pin(waiting));
                    ready!(G::poll(&this.call, waiting.as_mut(), cx))
                }
            },
        };
        this.done = true;
        this.waiting = None;
        Poll::Ready(result)
    }
}

impl<G> fmt::Debug for JointAcquire<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JointAcquire")
            .field("call", &self.call)
            .field("terms", &self.terms)
            .field("waiting", &self.waiting.is_some())
            .finish_non_exhaustive()
    }
}
