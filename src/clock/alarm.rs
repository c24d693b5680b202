//! Waking a task when its time has come.

use super::{
    Clock, Source, Wakes, left,
    precise::{Call, EARLY},
    since,
};
use crate::nanos::Nanos;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant as RealInstant},
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long before an instant tokio's timer hands over: a tick by which it may be late, and
/// another one to get there.
const HANDED_OVER: Duration = Duration::from_millis(2);

pin_project! {
    /// A timer that is made at the first wait and set again for each later one.
    #[derive(Debug, Default)]
    pub(crate) struct Alarm {
        #[pin]
        sleep: Option<Sleep>,
        // For a precise clock, what was arranged for which instant. Few have one, and many wait.
        last: Option<Box<(Nanos, Last)>>,
    }
}

/// The last stretch before an instant.
#[derive(Debug)]
enum Last {
    /// The thread calls.
    Called(Call),
    /// The task is polled over and over until it is this late in real time.
    Spinning(RealInstant),
}

impl Alarm {
    /// Ready when the clock shows `at`, or a little earlier or later: the caller looks at the
    /// clock again.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer, unless the clock is a manual one.
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        clock: &Clock,
        at: Nanos,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match &clock.source {
            Source::Shifted(shifted) => self.poll(shifted.clock(), shifted.behind(at), cx),
            Source::Manual(clock) => clock.poll_until(at, cx),
            Source::Custom(clock) => self.poll_looking(|| clock.left(at), cx),
            Source::Quanta(clock) => self.poll_looking(|| left(clock.now(), at), cx),
            Source::Coarse(clock) => self.poll_looking(|| left(clock.now(), at), cx),
            Source::Monotonic { origin, wakes: Wakes::Ticking } => {
                self.poll_sleep(far_enough(*origin, at), cx)
            }
            Source::Monotonic { origin, wakes: Wakes::Precise } => {
                self.poll_precise(*origin, at, cx)
            }
        }
    }

    /// Ready once nothing is left until the instant. Nobody knows how fast the clock goes, compared
    /// with tokio's, so it is looked at again whenever that much has passed by tokio's.
    fn poll_looking(
        mut self: Pin<&mut Self>,
        left: impl Fn() -> Option<Duration>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while let Some(left) = left() {
            ready!(self.as_mut().poll_sleep(far_enough(Instant::now(), left.into()), cx));
        }
        Poll::Ready(())
    }

    fn poll_sleep(self: Pin<&mut Self>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.project().sleep;
        if timer.is_none() {
            timer.set(Some(sleep_until(deadline)));
        }
        let mut sleep = timer.as_pin_mut().expect("it is made by now");
        if sleep.deadline() != deadline || sleep.is_elapsed() {
            sleep.as_mut().reset(deadline);
        }
        sleep.poll(cx)
    }

    fn poll_precise(
        mut self: Pin<&mut Self>,
        origin: Instant,
        at: Nanos,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let deadline = far_enough(origin, at);
        let left = Duration::from(at - since(origin));
        if left.is_zero() {
            return Poll::Ready(());
        }
        if left > HANDED_OVER {
            *self.as_mut().project().last = None;
            return self.poll_sleep(deadline.checked_sub(HANDED_OVER).unwrap_or(deadline), cx);
        }
        // Whatever becomes of the rest, tokio's timer wakes the task in the end, and moves on a
        // clock that is paused.
        if self.as_mut().poll_sleep(deadline, cx).is_ready() {
            return Poll::Ready(());
        }
        let now = RealInstant::now();
        let last = self.project().last;
        last.take_if(|last| last.0 != at);
        match last.as_deref() {
            // The instant would have come by now: tokio's clock is paused.
            Some((_, Last::Spinning(end))) if now >= *end => {}
            Some((_, Last::Spinning(_))) => cx.waker().wake_by_ref(),
            Some((_, Last::Called(call))) if call.goes_to(cx.waker()) => {}
            None if left > EARLY => {
                let call = Call::at(now + (left - EARLY), cx.waker());
                *last = Some(Box::new((at, Last::Called(call))));
            }
            // The call has come, or would come too late.
            _ => {
                *last = Some(Box::new((at, Last::Spinning(now + left))));
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

/// `origin + at`, or thirty years from the origin where the platform's clock does not reach so far.
fn far_enough(origin: Instant, at: Nanos) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
    let at = Duration::from(at);
    origin.checked_add(at.min(THIRTY_YEARS)).unwrap_or(origin)
}
