//! Answers that nobody waits for any more.

use crate::{
    clock::{Clock, before},
    nanos::Nanos,
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::runtime::Handle;

type Answer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer that is listened to for a while, as what it grants has to go back. When the runtime in which that is
/// ends, it goes on at home: that of the caller may be the only one that anybody drives, so it is not
/// there from the beginning.
pub(super) struct Carried {
    /// Until there is nothing more to wait for.
    answer: Option<Answer>,
    clock: Clock,
    end: Nanos,
    home: Handle,
}

impl Carried {
    pub(super) fn new(
        answer: impl Future<Output = ()> + Send + 'static,
        clock: Clock,
        end: Nanos,
        home: Handle,
    ) -> Self {
        Self { answer: Some(Box::pin(answer)), clock, end, home }
    }

    pub(super) async fn listen(mut self) {
        let (clock, end) = (self.clock.clone(), self.end);
        // Not part of what goes on at home: the timer is of this runtime.
        let _ = before(&clock, end, &mut self).await;
        self.answer = None;
    }
}

impl Future for Carried {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.answer.as_mut().map_or(Poll::Ready(()), |answer| answer.as_mut().poll(cx))
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let (clock, end) = (self.clock.clone(), self.end);
            // Where home has ended as well it is dropped there.
            self.home.spawn(async move {
                let _ = before(&clock, end, answer).await;
            });
        }
    }
}
