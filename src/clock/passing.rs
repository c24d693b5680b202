//! Time that passes while somebody looks on.

use super::{Alarm, Clock, Source};
use crate::nanos::Nanos;
use std::{future::poll_fn, task::Poll};

impl Clock {
    /// Lets the time go on until the clock shows `at`. A manual clock is moved there.
    pub(crate) async fn pass_until(&self, at: Nanos) {
        if let Source::Manual(clock) = &self.source {
            clock.set(self.at_source(at).max(clock.now()).into());
        }
        let mut alarm = Alarm::default();
        poll_fn(|cx| {
            while self.now() < at {
                if alarm.poll(self, at, cx).is_pending() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}
