//! A place in line, as a future, and for a thread.

use super::{
    Patience, Terms,
    desk::{Desk, Turn},
    line::Place,
    shared::Shared,
    used::{Ticket, Used},
};
use crate::{
    algorithm::{Algorithm, Permits},
    clock::{Alarm, Sleeper},
    decision::Outcome,
    error::{RateLimited, Reason},
    events,
    nanos::Nanos,
    store::table::Fingerprint,
};
use pin_project_lite::pin_project;
use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

pin_project! {
    /// Waits in line for a [`Ticket`]. Dropped, it gives up its place, or the permits if they were
    /// granted, to the next in line.
    ///
    /// It need not be polled for others to get on: each task that wakes serves all calls that are
    /// due.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with a timer, unless the limiter runs on a
    /// [`ManualClock`](crate::ManualClock), and when polled again after it was ready.
    #[must_use = "futures do nothing unless polled"]
    pub struct Waiting<A: Algorithm> {
        pub(super) caller: Caller<A>,
        #[pin]
        alarm: Alarm,
    }
}

/// Who stands in line, whether as a task or as a thread.
pub(super) struct Caller<A: Algorithm> {
    shared: Arc<Shared<A>>,
    /// To be read after a look: it changes where there was no room for it.
    key: Fingerprint,
    place: Place,
    terms: Terms,
    since: Nanos,
    deadline: Nanos,
    /// Until when it waits before it looks for the first time.
    until: Nanos,
    /// Whether the place was given up or has become a ticket.
    done: bool,
}

/// What a look at the line came to.
pub(super) enum Look<T> {
    /// What was granted, and how long it was waited for.
    Done(Result<(T, Nanos), RateLimited>),
    /// Look again then, or when woken.
    Again(Nanos),
}

impl<A: Algorithm> Waiting<A> {
    pub(super) fn new(
        shared: Arc<Shared<A>>,
        key: Fingerprint,
        place: Place,
        terms: Terms,
        now: Nanos,
        until: Nanos,
    ) -> Self {
        let deadline = match terms.patience {
            Patience::Timeout(timeout) => now + timeout.into(),
            // How long the wait will be is not known where calls hold their permits.
            Patience::MaxWait(max_wait) if A::Permits::HELD => now + max_wait.into(),
            Patience::Now | Patience::MaxWait(_) | Patience::Forever => Nanos::MAX,
        };
        events::waits(shared.settings.name.as_deref(), terms.cost);
        // What is due at once does not take a timer.
        let until = if deadline > now { until } else { Nanos::ZERO };
        let caller = Caller { shared, key, place, terms, since: now, deadline, until, done: false };
        Self { caller, alarm: Alarm::default() }
    }
}

impl<A: Algorithm> Future for Waiting<A> {
    type Output = Result<Ticket, RateLimited>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (place, _) = ready!(self.as_mut().poll_granted(cx, |_, place| Some(place)))?;
        Poll::Ready(Ok(Ticket { key: self.caller.key, place }))
    }
}

impl<A: Algorithm> Waiting<A> {
    /// The same for permits that are used the moment they are granted.
    pub(super) fn poll_used(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Used, RateLimited>> {
        let granted = |desk: &mut Desk<'_, A>, place| desk.commit(place);
        let (decision, waited) = ready!(self.as_mut().poll_granted(cx, granted))?;
        let Caller { shared, key, .. } = &self.caller;
        Poll::Ready(Ok(shared.admit(*key, decision, waited)))
    }

    fn poll_granted<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        granted: impl Fn(&mut Desk<'_, A>, Place) -> Option<T>,
    ) -> Poll<Result<(T, Nanos), RateLimited>> {
        let mut this = self.project();
        assert!(!this.caller.done, "polled after it was ready");
        loop {
            // The line first, the timer second: a timer whose task has used up its budget says
            // that it is pending although the time has come.
            match this.caller.look(cx.waker(), &granted) {
                Look::Done(result) => return Poll::Ready(result),
                Look::Again(at) => {
                    ready!(this.alarm.as_mut().poll(&this.caller.shared.settings.clock, at, cx));
                }
            }
        }
    }

    /// Waits for a ticket in this thread.
    pub(super) fn block(self: Pin<&mut Self>) -> Result<Ticket, RateLimited> {
        let caller = self.project().caller;
        let (place, _) = caller.block_granted(|_, place| Some(place))?;
        Ok(Ticket { key: caller.key, place })
    }

    /// The same for permits that are used the moment they are granted.
    pub(super) fn block_used(self: Pin<&mut Self>) -> Result<Used, RateLimited> {
        let caller = self.project().caller;
        let (decision, waited) = caller.block_granted(|desk, place| desk.commit(place))?;
        Ok(caller.shared.admit(caller.key, decision, waited))
    }
}

impl<A: Algorithm> Caller<A> {
    fn block_granted<T>(
        &mut self,
        granted: impl Fn(&mut Desk<'_, A>, Place) -> Option<T>,
    ) -> Result<(T, Nanos), RateLimited> {
        let sleeper = Sleeper::new();
        loop {
            match self.look(sleeper.waker(), &granted) {
                Look::Done(result) => return result,
                Look::Again(at) => sleeper.sleep_until(&self.shared.settings.clock, at),
            }
        }
    }

    /// Looks once how the place in line stands; `waker` is called when it has to look again.
    pub(super) fn look<T>(
        &mut self,
        waker: &Waker,
        granted: impl Fn(&mut Desk<'_, A>, Place) -> Option<T>,
    ) -> Look<T> {
        if self.until > self.since {
            return Look::Again(mem::take(&mut self.until).min(self.deadline));
        }
        let now = self.shared.now();
        let (place, cost) = (self.place, self.terms.cost);
        let refusal = match self.shared.poll(&mut self.key, place, now, cost, waker, granted) {
            Ok(Turn::Granted(granted)) => {
                self.done = true;
                return Look::Done(Ok((granted, self.let_go(now))));
            }
            Ok(Turn::Wait(_)) if now >= self.deadline => self.timed_out(),
            Ok(Turn::Wait(alarm)) => return Look::Again(alarm.min(self.deadline)),
            Ok(Turn::Refused(decision)) => {
                self.give_up();
                let reason = match decision.outcome {
                    Outcome::Exhausted => Reason::Exhausted,
                    _ => Reason::TooCostly,
                };
                self.shared.refusal_in_line(self.key, reason, Some(decision), self.terms)
            }
            Err(reason) | Ok(Turn::SentAway(reason)) => {
                self.done = true;
                // It would have had to wait too long: as long as if it came now.
                let turn = (reason == Reason::UsedUp).then(|| self.shared.peek(self.key, cost));
                self.shared.refusal_in_line(self.key, reason, turn, self.terms)
            }
        };
        Look::Done(Err(refusal))
    }

    /// Lets everybody know how long the wait was.
    fn let_go(&self, now: Nanos) -> Nanos {
        let waited = now - self.since;
        self.shared.meters.waited(waited);
        events::let_go(self.shared.settings.name.as_deref(), self.terms.cost, waited);
        waited
    }

    fn timed_out(&mut self) -> RateLimited {
        let decision = self.shared.turn_of(self.key, self.place, self.terms.cost);
        self.give_up();
        self.shared.refusal_in_line(self.key, Reason::UsedUp, decision, self.terms)
    }

    fn give_up(&mut self) {
        self.done = true;
        self.shared.leave(self.key, self.place);
    }
}

impl<A: Algorithm> Drop for Caller<A> {
    fn drop(&mut self) {
        if !self.done {
            self.give_up();
        }
    }
}

impl<A: Algorithm> fmt::Debug for Waiting<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("terms", &self.caller.terms).finish_non_exhaustive()
    }
}
