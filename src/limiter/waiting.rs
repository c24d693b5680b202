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
use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

/// Waits in line for a [`Ticket`]. Dropped, it gives up its place, or the permits if they were
/// granted, to the next in line.
///
/// It need not be polled for others to get on: each task that wakes serves all calls that are due.
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
    since: Nanos,
    deadline: Nanos,
    alarm: Alarm,
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
        let alarm = Alarm::default();
        // What is due at once does not take a timer.
        let until = if deadline > now { until } else { Nanos::ZERO };
        Self { shared, key, place, terms, since: now, deadline, alarm, until, done: false }
    }
}

impl<A: Algorithm> Future for Waiting<A> {
    type Output = Result<Ticket, RateLimited>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (place, _) = ready!(this.poll_granted(cx, |_, place| Some(place)))?;
        Poll::Ready(Ok(Ticket { key: this.key, place }))
    }
}

impl<A: Algorithm> Waiting<A> {
    /// The same for permits that are used the moment they are granted.
    pub(super) fn poll_used(&mut self, cx: &mut Context<'_>) -> Poll<Result<Used, RateLimited>> {
        let granted = |desk: &mut Desk<'_, A>, place| desk.commit(place);
        let (decision, waited) = ready!(self.poll_granted(cx, granted))?;
        Poll::Ready(Ok(self.shared.admit(self.key, decision, waited)))
    }

    fn poll_granted<T>(
        &mut self,
        cx: &mut Context<'_>,
        granted: impl Fn(&mut Desk<'_, A>, Place) -> Option<T>,
    ) -> Poll<Result<(T, Nanos), RateLimited>> {
        assert!(!self.done, "polled after it was ready");
        loop {
            // The line first, the timer second: a timer whose task has used up its budget says
            // that it is pending although the time has come.
            match self.look(cx.waker(), &granted) {
                Look::Done(result) => return Poll::Ready(result),
                Look::Again(at) => ready!(self.alarm.poll(&self.shared.settings.clock, at, cx)),
            }
        }
    }

    /// Waits for a ticket in this thread.
    pub(super) fn block(self) -> Result<Ticket, RateLimited> {
        let (key, (place, _)) = self.block_granted(|_, place| Some(place))?;
        Ok(Ticket { key, place })
    }

    /// The same for permits that are used the moment they are granted.
    pub(super) fn block_used(self) -> Result<Used, RateLimited> {
        let shared = Arc::clone(&self.shared);
        let (key, (decision, waited)) = self.block_granted(|desk, place| desk.commit(place))?;
        Ok(shared.admit(key, decision, waited))
    }

    fn block_granted<T>(
        mut self,
        granted: impl Fn(&mut Desk<'_, A>, Place) -> Option<T>,
    ) -> Result<(Fingerprint, (T, Nanos)), RateLimited> {
        let sleeper = Sleeper::new();
        loop {
            match self.look(sleeper.waker(), &granted) {
                // The key last: it changes where there was no room for it.
                Look::Done(result) => return result.map(|granted| (self.key, granted)),
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
