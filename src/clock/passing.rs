//! Time that passes while somebody looks on.

use super::{Alarm, Clock, Source};
use crate::nanos::Nanos;
use std::{future::poll_fn, pin::pin, task::Poll};

impl Clock {
    /// Lets the time go on until the clock shows `at`. A manual clock is moved there.
    pub(crate) async fn pass_until(&self, at: Nanos) {
        self.move_to(at);
        let mut alarm = pin!(Alarm::default());
        poll_fn(|cx| {
            while self.now() < at {
                if alarm.as_mut().poll(self, at, cx).is_pending() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    fn move_to(&self, at: Nanos) {
        match &self.source {
            Source::Manual(clock) => clock.set(at.max(clock.now()).into()),
            Source::Shifted(shifted) => shifted.clock().move_to(shifted.behind(at)),
            _ => {}
        }
    }
}
