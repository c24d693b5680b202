//! Waits for a ticket, in which something is wrong.

use super::faulty_limiters::Fault::{self, *};
use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tower_ratelimit::{
    RateLimited, SlidingWindow,
    limiter::{Ticket, Waiting},
};

/// Who hands tickets to whom, where that is part of the fault.
#[derive(Default)]
pub(super) struct Line {
    pub(super) waiting: Vec<(u64, Waker)>,
    /// As many as wait, and whoever is polled looks after all of them.
    pub(super) places: Vec<Pin<Box<Waiting<SlidingWindow>>>>,
    pub(super) pool: Vec<Ticket>,
    pub(super) count: u64,
    pub(super) held_up: Vec<Ticket>,
}

/// A wait for a ticket, in which something is wrong.
pub(super) struct Wait {
    pub(super) fault: Fault,
    pub(super) inner: Option<Pin<Box<Waiting<SlidingWindow>>>>,
    pub(super) line: Arc<Mutex<Line>>,
    pub(super) id: u64,
    pub(super) first: Option<Waker>,
    pub(super) is_served: bool,
}

impl Future for Wait {
    type Output = Result<Ticket, RateLimited>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = match self.fault {
            NeverAgain => return Poll::Pending,
            WakesNobody => Waker::noop().clone(),
            WakesTheFirstTask => self.first.get_or_insert_with(|| cx.waker().clone()).clone(),
            _ => cx.waker().clone(),
        };
        let cx = &mut Context::from_waker(&waker);
        if let Some(inner) = &mut self.inner {
            return inner.as_mut().poll(cx);
        }
        let line = Arc::clone(&self.line);
        let mut line = line.lock().unwrap();
        line.look(cx);
        line.leave(self.id);
        line.waiting.push((self.id, waker));
        let is_next = line.next(self.fault) == Some(self.id);
        match line.pool.pop() {
            Some(ticket) if is_next => {
                line.leave(self.id);
                self.is_served = true;
                line.wake();
                Poll::Ready(Ok(ticket))
            }
            ticket => {
                line.pool.extend(ticket);
                line.wake();
                Poll::Pending
            }
        }
    }
}

impl Line {
    fn look(&mut self, cx: &mut Context<'_>) {
        let pool = &mut self.pool;
        self.places.retain_mut(|place| match place.as_mut().poll(cx) {
            Poll::Ready(ticket) => {
                pool.extend(ticket);
                false
            }
            Poll::Pending => true,
        });
    }

    fn next(&self, fault: Fault) -> Option<u64> {
        let waiting = self.waiting.iter().map(|(id, _)| *id);
        if fault == LastComeFirstServed { waiting.max() } else { waiting.min() }
    }

    fn leave(&mut self, id: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
    }

    /// Wakes everybody if there are tickets.
    fn wake(&self) {
        if !self.pool.is_empty() {
            self.waiting.iter().for_each(|(_, waker)| waker.wake_by_ref());
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.fault == DropKeepsThePlace {
            mem::forget(self.inner.take());
        }
        let mut line = self.line.lock().unwrap();
        line.leave(self.id);
        if self.inner.is_none() && !self.is_served {
            line.places.pop();
        }
        line.wake();
    }
}
