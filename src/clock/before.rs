//! Waiting for a result, and not for too long.

use super::{Alarm, Clock};
use crate::nanos::Nanos;
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Poll, ready},
};

/// What the future comes to before the clock shows `end`; `None` if that comes first.
pub(crate) fn before<F: Future>(
    clock: &Clock,
    end: Nanos,
    future: F,
) -> impl Future<Output = Option<F::Output>> {
    before_since(clock, None, end, future)
}

/// The same where it is known what the clock shows when the future is first polled.
pub(crate) async fn before_since<F: Future>(
    clock: &Clock,
    mut now: Option<Nanos>,
    end: Nanos,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    // In a box, as the futures of futures that wait so would have several each.
    let mut alarm: Option<Pin<Box<Alarm>>> = None;
    poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        while now.take().unwrap_or_else(|| clock.now()) < end {
            let alarm = alarm.get_or_insert_with(|| Box::pin(Alarm::default()));
            ready!(alarm.as_mut().poll(clock, end, cx));
        }
        Poll::Ready(None)
    })
    .await
}
