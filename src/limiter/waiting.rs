//! A place in line, as a future.

use super::{
    Patience, Terms,
    lane::Turn,
    line::Place,
    shared::{Shared, Ticket},
};
use crate::{
    algorithm::Algorithm,
    clock::Alarm,
    error::{RateLimited, Reason},
    events,
    nanos::Nanos,
    store::memory::Fingerprint,
};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Waits in line for a [`Ticket`]. Dropped, it gives up its place, or the permits if they were
/// granted, to the next in line.
///
/// Nobody has to poll it for others to get on: whoever wakes serves all that are due.
///
/// # Panics
///
/// When polled outside a tokio runtime with a timer, unless the limiter runs on a
/// [`ManualClock`](crate::ManualClock), and when polled again after it was ready.
#[must_use = "futures do nothing unless polled"]
pub struct Waiting<A: Algorithm> {
    shared: Arc<Shared<A>>,
    key: Fingerprint,
    place: Place,
    terms: Terms,
    deadline: Nanos,
    alarm: Alarm,
    /// Whether the place was given up or has become a ticket.
    done: bool,
}

impl<A: Algorithm> Waiting<A> {
    pub(super) fn new(
        shared: Arc<Shared<A>>,
        key: Fingerprint,
        place: Place,
        terms: Terms,
        now: Nanos,
    ) -> Self {
        let deadline = match terms.patience {
            Patience::Timeout(timeout) => now + timeout.into(),
            Patience::Now | Patience::MaxWait(_) | Patience::Forever => Nanos::MAX,
        };
        events::waits(shared.settings.name.as_deref(), terms.cost);
        Self { shared, key, place, terms, deadline, alarm: Alarm::default(), done: false }
    }
}

impl<A: Algorithm> Future for Waiting<A> {
    type Output = Result<Ticket, RateLimited>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.done, "polled after it was ready");
        loop {
            let now = this.shared.now();
            // The line first, the timer second: a timer whose task has used up its budget says
            // that it is pending although the time has come.
            let turn = this.shared.poll(&mut this.key, this.place, now, this.terms, cx.waker());
            let turn = match turn {
                Ok(turn) => turn,
                Err(reason) => {
                    this.done = true;
                    return Poll::Ready(Err(this.shared.refusal_without(reason, this.terms)));
                }
            };
            let alarm = match turn {
                Turn::Granted(held) => {
                    this.done = true;
                    let key = this.key;
                    return Poll::Ready(Ok(Ticket { key, held }));
                }
                Turn::Never(decision) => {
                    this.give_up();
                    let refusal = this.shared.refusal(Reason::TooCostly, decision, this.terms);
                    return Poll::Ready(Err(refusal));
                }
                Turn::Wait(_) if now >= this.deadline => {
                    return Poll::Ready(Err(this.timed_out()));
                }
                Turn::Wait(alarm) => alarm.min(this.deadline),
            };
            ready!(this.alarm.poll(&this.shared.settings.clock, alarm, cx));
        }
    }
}

impl<A: Algorithm> Waiting<A> {
    fn timed_out(&mut self) -> RateLimited {
        let decision = self.shared.turn_of(self.key, self.place, self.terms.cost);
        self.give_up();
        match decision {
            Some(decision) => self.shared.refusal(Reason::UsedUp, decision, self.terms),
            None => self.shared.refusal_without(Reason::UsedUp, self.terms),
        }
    }

    fn give_up(&mut self) {
        self.done = true;
        self.shared.leave(self.key, self.place);
    }
}

impl<A: Algorithm> Drop for Waiting<A> {
    fn drop(&mut self) {
        if !self.done {
            self.give_up();
        }
    }
}

impl<A: Algorithm> fmt::Debug for Waiting<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("terms", &self.terms).finish_non_exhaustive()
    }
}
