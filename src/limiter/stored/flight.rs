//! An ask that its own caller sends.

use super::{
    group::{Decided, Group},
    pipeline::Pipeline,
};
use crate::{
    algorithm::Algorithm,
    store::{Batch, Store, StoreError},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

type Answered<A, S> = Pin<Box<dyn Future<Output = Result<Decided<A, S>, StoreError>> + Send>>;

/// The ask of a caller who found nobody else asking. Dropped under way, it goes on in a task, as
/// what it is granted has to go back; until then whoever else asks gets in the queue.
pub(super) struct Flight<A: Algorithm, S: Store<A>> {
    /// Both are gone once it was answered.
    lead: Option<Lead<A, S>>,
    answer: Option<Answered<A, S>>,
    /// Whether anything may have been sent.
    is_sent: bool,
}

impl<A: Algorithm, S: Store<A>> Flight<A, S> {
    pub(super) fn new(group: Group<A>, lead: Lead<A, S>) -> Self {
        let pipeline = Arc::clone(&lead.pipeline);
        let answer = async move {
            let mut decided = pipeline.decide(vec![group], Batch::new).await?;
            decided.pop().ok_or_else(|| StoreError::new("no answer"))
        };
        Self { lead: Some(lead), answer: Some(Box::pin(answer)), is_sent: false }
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
                (this.answer, this.lead) = (None, None);
                Poll::Ready(answered)
            }
            // It is awaited in one place, and once.
            None => Poll::Pending,
        }
    }
}

impl<A: Algorithm, S: Store<A>> Drop for Flight<A, S> {
    fn drop(&mut self) {
        if let (Some(answer), Some(lead), true) =
            (self.answer.take(), self.lead.take(), self.is_sent)
        {
            let pipeline = Arc::clone(&lead.pipeline);
            pipeline.abandon(async move {
                let _lead = lead;
                answer.await
            });
        }
    }
}

/// Being the one who sends its own ask to a shard. Dropped, somebody else may be.
pub(super) struct Lead<A: Algorithm, S: Store<A>> {
    pub(super) pipeline: Arc<Pipeline<A, S>>,
    pub(super) shard: u32,
}

impl<A: Algorithm, S: Store<A>> Drop for Lead<A, S> {
    fn drop(&mut self) {
        self.pipeline.queue(self.shard, |queue| queue.is_led = false);
    }
}
