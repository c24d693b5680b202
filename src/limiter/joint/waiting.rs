//! A place in the lines of several limits, as a future, and for a thread.

use super::{
    board::Board,
    limit::Part,
    on_limits::JointTicket,
    shared::{Shared, TakeOver},
    turn::Turn,
    used::Used,
};
use crate::{
    clock::{Alarm, Sleeper},
    error::RateLimited,
    events,
    limiter::{Terms, line::Place},
    nanos::Nanos,
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

pin_project! {
    /// Waits in the lines of several limits for a [`JointTicket`]. Dropped, it gives up its places,
    /// or the permits if they were granted, to the calls behind it.
    ///
    /// It need not be polled for others to get on: each task that wakes serves all calls that are
    /// due.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with a timer, unless the limiter runs on a
    /// [`ManualClock`](crate::ManualClock), and when polled again after it was ready.
    #[must_use = "futures do nothing unless polled"]
    pub struct JointWaiting {
        caller: Caller,
        #[pin]
        alarm: Alarm,
    }
}

/// Who stands in the lines, whether as a task or as a thread.
struct Caller {
    shared: Arc<Shared>,
    place: Place,
    terms: Terms,
    /// What held it up when it came.
    held_up: Part,
    deadline: Nanos,
    /// Whether the place was given up or has become a ticket.
    done: bool,
}

/// What a look at the lines came to.
enum Look<T> {
    Done(Result<T, RateLimited>),
    /// Look again then, or when woken.
    Again(Nanos),
}

impl JointWaiting {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Place,
        terms: Terms,
        held_up: Part,
        deadline: Nanos,
    ) -> Self {
        let caller = Caller { shared, place, terms, held_up, deadline, done: false };
        Self { caller, alarm: Alarm::default() }
    }

    /// The same for permits that are used the moment they are granted.
    pub(super) fn poll_used(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Used, RateLimited>> {
        self.poll_granted(cx, Board::commit)
    }

    fn poll_granted<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        take_over: TakeOver<T>,
    ) -> Poll<Result<T, RateLimited>> {
        let mut this = self.project();
        assert!(!this.caller.done, "polled after it was ready");
        loop {
            // The lines first, the timer second: a timer whose task has used up its budget says
            // that it is pending although the time has come.
            match this.caller.look(cx.waker(), take_over) {
                Look::Done(result) => return Poll::Ready(result),
                Look::Again(at) => {
                    ready!(this.alarm.as_mut().poll(&this.caller.shared.clock, at, cx));
                }
            }
        }
    }

    /// Waits for a ticket in this thread.
    pub(super) fn block(self: Pin<&mut Self>) -> Result<JointTicket, RateLimited> {
        self.project().caller.block_granted(ticket)
    }

    /// The same for permits that are used the moment they are granted.
    pub(super) fn block_used(self: Pin<&mut Self>) -> Result<Used, RateLimited> {
        self.project().caller.block_granted(Board::commit)
    }
}

impl Caller {
    fn block_granted<T>(&mut self, take_over: TakeOver<T>) -> Result<T, RateLimited> {
        let sleeper = Sleeper::new();
        loop {
            match self.look(sleeper.waker(), take_over) {
                Look::Done(result) => return result,
                Look::Again(at) => sleeper.sleep_until(&self.shared.clock, at),
            }
        }
    }

    /// Looks once how the place in line stands; `waker` is called when it has to look again.
    fn look<T>(&mut self, waker: &Waker, take_over: TakeOver<T>) -> Look<T> {
        match self.shared.poll(self.place, waker, self.deadline, take_over) {
            Turn::Granted((granted, waited)) => {
                self.done = true;
                events::let_go(self.shared.name(self.held_up), self.held_up.cost, waited);
                Look::Done(Ok(granted))
            }
            Turn::Wait(alarm) => Look::Again(alarm),
            Turn::Refused(refused) => {
                self.give_up();
                Look::Done(Err(refused.tell(&self.shared.names, self.terms)))
            }
        }
    }

    fn give_up(&mut self) {
        self.done = true;
        self.shared.leave(self.place);
    }
}

/// Keeps permits for later.
fn ticket(_: &mut Board, place: Place, _: Nanos, _: Nanos) -> Option<JointTicket> {
    Some(JointTicket(place))
}

impl Future for JointWaiting {
    type Output = Result<JointTicket, RateLimited>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_granted(cx, ticket)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.done {
            self.give_up();
        }
    }
}

impl fmt::Debug for JointWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JointWaiting").field("terms", &self.caller.terms).finish_non_exhaustive()
    }
}
