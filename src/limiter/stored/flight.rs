//! An ask that its own caller sends.

use super::{
    group::{Decided, Group},
    pipeline::Pipeline,
};
use crate::{
    algorithm::Algorithm,
    store::{Store, StoreError},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

type Answered<A, S> = Pin<Box<dyn Future<Output = Result<Decided<A, S>, StoreError>> + Send>>;

/// The ask of a caller who found nobody else asking. Dropped under way, it goes on in a task, as what
/// it is granted has to go back.
pub(super) struct Flight<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    /// Gone once it was answered.
    answer: Option<Answered<A, S>>,
    /// Whether anything may have been sent.
    is_sent: bool,
}

impl<A: Algorithm, S: Store<A>> Flight<A, S> {
    pub(super) fn new(pipeline: &Arc<Pipeline<A, S>>, group: Group<A>) -> Self {
        let asked = Arc::clone(pipeline);
        let answer = async move {
            let mut decided = asked.decide(vec![group]).await?;
            decided.pop().ok_or_else(|| StoreError::new("no answer"))
        };
        Self { pipeline: Arc::clone(pipeline), answer: Some(Box::pin(answer)), is_sent: false }
    }
}

impl<A: Algorithm, S: Store<A>> Future for Flight<A, S> {
    type Output = Result<Decided<A, S>, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.is_sent = true;
        match &mut this.answer {
            Some(answer) => {
                let answered = ready!(answer.as_mut().poll(cx));
                this.answer = None;
                Poll::Ready(answered)
            }
            // It is awaited in one place, and once.
            None => Poll::Pending,
        }
    }
}

impl<A: Algorithm, S: Store<A>> Drop for Flight<A, S> {
    fn drop(&mut self) {
        // Before anything else: a store that panics is no reason to keep others waiting.
        self.pipeline.landed();
        if let Some(answer) = self.answer.take()
            && self.is_sent
            && !std::thread::panicking()
        {
            self.pipeline.runtime().spawn(answer);
        }
    }
}
