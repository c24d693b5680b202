//! Somebody who calls a limited service.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use tower_service::Service;

/// What a limit is put on: a service that answers numbers with the same numbers.
pub(super) trait Limited: Service<u32, Response = u32> + Clone {}

impl<S: Service<u32, Response = u32> + Clone> Limited for S {}

/// A task of its own, with a service of its own.
pub(super) struct Caller<S: Service<u32>> {
    pub(super) number: u32,
    pub(super) service: S,
    /// Whether it calls its service as soon as that is ready.
    calls: bool,
    response: Option<Pin<Box<S::Future>>>,
    woken: Arc<Flag>,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Waits,
    Ready,
    Called,
    Passed,
    /// It got the response to another request.
    Mistaken,
    FailedInReady,
    FailedInCall,
}

/// Set when its task is woken.
#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Flag {
    fn set() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }
}

impl<S: Service<u32, Response = u32>> Caller<S> {
    /// One that calls.
    pub(super) fn new(number: u32, service: S) -> Self {
        let (response, fate) = (None, Fate::Waits);
        Self { number, service, calls: true, response, woken: Flag::set(), fate }
    }

    /// One that is content with a service that is ready.
    pub(super) fn readies(self) -> Self {
        Self { calls: false, ..self }
    }

    /// From now on it calls.
    pub(super) fn goes_on(&mut self) {
        self.calls = true;
        self.woken = Flag::set();
    }

    /// From now on another task looks after it, which has not looked yet.
    pub(super) fn moves_to_another_task(&mut self) {
        self.woken = Flag::set();
    }

    pub(super) fn is(&self, fate: Fate) -> bool {
        self.fate == fate
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.fate, Fate::FailedInReady | Fate::FailedInCall)
    }

    /// Polls it if its task was woken, or never looked. Whether it did.
    pub(super) fn poll_if_woken(&mut self) -> bool {
        let is_woken = self.woken.0.swap(false, Ordering::SeqCst);
        if is_woken {
            self.poll();
        }
        is_woken
    }

    pub(super) fn poll(&mut self) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let cx = &mut Context::from_waker(&waker);
        loop {
            let next = match self.fate {
                Fate::Waits => self.poll_ready(cx),
                Fate::Ready if self.calls => {
                    self.response = Some(Box::pin(self.service.call(self.number)));
                    Poll::Ready(Fate::Called)
                }
                Fate::Called => self.poll_response(cx),
                _ => return,
            };
            match next {
                Poll::Ready(fate) => self.fate = fate,
                Poll::Pending => return,
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Fate> {
        self.service.poll_ready(cx).map(|ready| match ready {
            Ok(()) => Fate::Ready,
            Err(_) => Fate::FailedInReady,
        })
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Fate> {
        let Some(response) = &mut self.response else { return Poll::Pending };
        response.as_mut().poll(cx).map(|response| match response {
            Ok(answer) if answer == self.number => Fate::Passed,
            Ok(_) => Fate::Mistaken,
            Err(_) => Fate::FailedInCall,
        })
    }
}

impl<S: Service<u32>> fmt::Display for Caller<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            Fate::Waits => "waits",
            Fate::Ready => "is ready",
            Fate::Called => "waits for the response",
            Fate::Passed => "has passed",
            Fate::Mistaken => "got the response to another call",
            Fate::FailedInReady => "failed in poll_ready",
            Fate::FailedInCall => "failed in call",
        };
        write!(f, "call {} {fate}", self.number)
    }
}
