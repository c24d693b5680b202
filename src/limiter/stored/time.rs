//! Waiting for whatever comes first: a result, or an instant.

use crate::{
    clock::{Alarm, Clock},
    nanos::Nanos,
};
use std::{
    future::poll_fn,
    pin::pin,
    task::{Poll, ready},
};

/// What the future comes to before the clock shows `end`; `None` if that comes first.
pub(super) async fn before<F: Future>(clock: &Clock, end: Nanos, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        if let Poll::Ready(result) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        while clock.now() < end {
            ready!(alarm.poll(clock, end, cx));
        }
        Poll::Ready(None)
    })
    .await
}
