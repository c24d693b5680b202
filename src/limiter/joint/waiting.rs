//! A place in the lines of several limits, as a future, and for a thread.

use super::{
    on_limits::JointTicket,
    shared::{Shared, Used},
    turn::Turn,
};
use crate::{
    clock::{Alarm, Sleeper},
    error::{RateLimited, Reason},
    limiter::{Patience, Terms, line::Place},
    nanos::Nanos,
};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

/// Waits in the lines of several limits for a [`JointTicket`]. Dropped, it gives up its places, or
/// the permits if they were granted, to those behind it.
///
/// Nobody has to poll it for others to get on: whoever wakes serves all that are due.
///
/// # Panics
///
/// When polled outside a tokio runtime with a timer, unless the limiter runs on a
/// [`ManualClock`](crate::ManualClock), and when polled again after it was ready.
#[must_use = "futures do nothing unless polled"]
pub struct JointWaiting {
    shared: Arc<Shared>,
    place: Place,
    terms: Terms,
    since: Nanos,
    deadline: Nanos,
    alarm: Alarm,
    /// Whether the place was given up or has become a ticket.
    done: bool,
}

/// What a look at the lines came to.
enum Look<T> {
    Done(Result<T, RateLimited>),
    /// Look again then, or when woken.
    Again(Nanos),
}

/// How permits are taken over that were granted.
type TakeOver<T> = fn(&JointWaiting, &Waker) -> (Result<T, Turn>, Nanos);

impl JointWaiting {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Place,
        terms: Terms,
        now: Nanos,
        holds: bool,
    ) -> Self {
        let deadline = match terms.patience {
            Patience::Timeout(timeout) => now + timeout.into(),
            // How long the wait will be is not known where calls hold their permits.
            Patience::MaxWait(max_wait) if holds => now + max_wait.into(),
            Patience::Now | Patience::MaxWait(_) | Patience::Forever => Nanos::MAX,
        };
        let alarm = Alarm::default();
        Self { shared, place, terms, since: now, deadline, alarm, done: false }
    }

    /// The same for permits that are used the moment they are granted.
    pub(super) fn poll_used(&mut self, cx: &mut Context<'_>) -> Poll<Result<Used, RateLimited>> {
        self.poll_granted(cx, Self::take_used)
    }

    fn poll_granted<T>(
        &mut self,
        cx: &mut Context<'_>,
        take_over: TakeOver<T>,
    ) -> Poll<Result<T, RateLimited>> {
        assert!(!self.done, "polled after it was ready");
        loop {
            // The lines first, the timer second: a timer whose task has used up its budget says
            // that it is pending although the time has come.
            match self.look(cx.waker(), take_over) {
                Look::Done(result) => return Poll::Ready(result),
                Look::Again(at) => ready!(self.alarm.poll(&self.shared.clock, at, cx)),
            }
        }
    }

    /// Waits for a ticket in this thread.
    pub(super) fn block(self) -> Result<JointTicket, RateLimited> {
        self.block_granted(Self::take_ticket)
    }

    /// The same for permits that are used the moment they are granted.
    pub(super) fn block_used(self) -> Result<Used, RateLimited> {
        self.block_granted(Self::take_used)
    }

    fn block_granted<T>(mut self, take_over: TakeOver<T>) -> Result<T, RateLimited> {
        let sleeper = Sleeper::new();
        loop {
            match self.look(sleeper.waker(), take_over) {
                Look::Done(result) => return result,
                Look::Again(at) => sleeper.sleep_until(&self.shared.clock, at),
            }
        }
    }

    fn take_ticket(&self, waker: &Waker) -> (Result<JointTicket, Turn>, Nanos) {
        let (turn, now) = self.shared.poll(self.place, waker);
        let ticket = match turn {
            Turn::Granted => Ok(JointTicket(self.place)),
            turn => Err(turn),
        };
        (ticket, now)
    }

    fn take_used(&self, waker: &Waker) -> (Result<Used, Turn>, Nanos) {
        self.shared.poll_used(self.place, waker, self.since)
    }

    /// Looks once how the place in line stands; `waker` is called when it has to look again.
    fn look<T>(&mut self, waker: &Waker, take_over: TakeOver<T>) -> Look<T> {
        let (turn, now) = take_over(self, waker);
        let refusal = match turn {
            Ok(granted) => {
                self.done = true;
                return Look::Done(Ok(granted));
            }
            Err(Turn::Wait(_)) if now >= self.deadline => {
                let answer = self.shared.turn_of(self.place);
                self.shared.refusal(Reason::UsedUp, answer, self.terms)
            }
            Err(Turn::Wait(alarm)) => return Look::Again(alarm.min(self.deadline)),
            Err(Turn::Refused(verdict)) => self.shared.refusal_for_good(&verdict, self.terms),
            Err(Turn::SentAway(reason)) => self.shared.refusal(reason, None, self.terms),
            // Granted and not taken over, which does not happen.
            Err(Turn::Granted) => return Look::Again(now),
        };
        self.give_up();
        Look::Done(Err(refusal))
    }

    fn give_up(&mut self) {
        self.done = true;
        self.shared.leave(self.place);
    }
}

impl Future for JointWaiting {
    type Output = Result<JointTicket, RateLimited>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_granted(cx, Self::take_ticket)
    }
}

impl Drop for JointWaiting {
    fn drop(&mut self) {
        if !self.done {
            self.give_up();
        }
    }
}

impl fmt::Debug for JointWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JointWaiting").field("terms", &self.terms).finish_non_exhaustive()
    }
}
