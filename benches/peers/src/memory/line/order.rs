//! Whether those who asked first are let go first, whatever order a runtime would run them in.

use crate::waiting::Wait;
use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};
use tokio::task::unconstrained;

/// How many were let go while somebody who had asked before them had to wait still. All wait on
/// one thread, and each is polled when it is woken.
pub async fn overtaking<W: Wait>(handles: Vec<W>) -> usize {
    let mut line = Line::new(handles);
    // tokio tells a task that polls a lot to wait though it need not.
    unconstrained(poll_fn(|context| line.poll(context))).await
}

/// Those who wait, in the order in which they asked.
struct Line {
    waiting: Vec<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    wakers: Vec<Waker>,
    woken: Arc<Woken>,
    /// All before this one have gone.
    first: usize,
    overtaking: usize,
}

impl Line {
    fn new<W: Wait>(handles: Vec<W>) -> Self {
        // The first poll is the question, so all are polled once, in order.
        let numbers: Vec<usize> = (0..handles.len()).collect();
        let places = Mutex::new((numbers.clone(), Waker::noop().clone()));
        let woken = Arc::new(Woken(places));
        let waker = |number| {
            let woken = Arc::clone(&woken);
            Waker::from(Arc::new(Place { number, woken }))
        };
        let wakers = numbers.into_iter().map(waker).collect();
        let wait = |mut handle: W| {
            let wait: Pin<Box<dyn Future<Output = ()>>> =
                Box::pin(async move { handle.wait().await });
            Some(wait)
        };
        let waiting = handles.into_iter().map(wait).collect();
        Self { waiting, wakers, woken, first: 0, overtaking: 0 }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        for number in self.woken.take(context.waker()) {
            if self.goes(number) {
                // Those before it who were let go as well have only not been polled yet.
                let is_first = (self.first..number).all(|before| self.goes(before));
                self.overtaking += usize::from(!is_first);
            }
            while self.waiting.get(self.first).is_some_and(Option::is_none) {
                self.first += 1;
            }
        }
        match self.first == self.waiting.len() {
            true => Poll::Ready(self.overtaking),
            false => Poll::Pending,
        }
    }

    /// Whether this one need not wait any more.
    fn goes(&mut self, number: usize) -> bool {
        let Some(wait) = &mut self.waiting[number] else { return true };
        let mut context = Context::from_waker(&self.wakers[number]);
        let goes = wait.as_mut().poll(&mut context).is_ready();
        if goes {
            self.waiting[number] = None;
        }
        goes
    }
}

/// Those who were woken and not polled since, and who polls them.
struct Woken(Mutex<(Vec<usize>, Waker)>);

impl Woken {
    fn take(&self, waker: &Waker) -> Vec<usize> {
        let mut woken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        woken.1.clone_from(waker);
        mem::take(&mut woken.0)
    }
}

struct Place {
    number: usize,
    woken: Arc<Woken>,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.0.lock().unwrap_or_else(PoisonError::into_inner);
        woken.0.push(self.number);
        woken.1.wake_by_ref();
    }
}
