//! Sending batches for those who wait in the queue.

use super::{
    group::Decided,
    pipeline::{Pipeline, TOO_LATE},
    queue::{Queued, Reply},
    time::before,
};
use crate::{
    algorithm::Algorithm,
    store::{Batch, Store, StoreError},
};
use std::sync::Arc;
use tokio::{sync::oneshot, task::yield_now};

/// How many groups ride in a batch at most, so that no batch takes long.
const MOST: usize = 1024;

/// How often all others are let run at most before a batch leaves.
const YIELDS: usize = 3;

/// Empties the queue of a shard. Dropped before it has, with its runtime, it takes the queue with it, so that
/// nobody waits in vain.
pub(super) struct Driver<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    shard: u32,
    /// How many groups were in its last batch.
    last: usize,
    has_ended: bool,
}

impl<A: Algorithm, S: Store<A>> Driver<A, S> {
    /// One that is counted already.
    pub(super) fn new(pipeline: Arc<Pipeline<A, S>>, shard: u32) -> Self {
        Self { pipeline, shard, last: 0, has_ended: false }
    }

    pub(super) async fn run(mut self) {
        while let Some(batch) = self.next() {
            self.serve(batch).await;
            self.gather().await;
        }
    }

    /// Those who wait, or the end of this driver.
    fn next(&mut self) -> Option<Vec<Queued<A, S>>> {
        let batch = self.pipeline.lock().entry(self.shard).or_default().next(self.last, MOST);
        self.last = batch.as_ref().map_or(0, Vec::len);
        self.has_ended = batch.is_none();
        batch
    }

    /// Lets those ask who are about to, above all those who have their answers: until nobody more has come
    /// while all others were let run.
    async fn gather(&self) {
        let mut gathered = 0;
        for _ in 0..YIELDS {
            yield_now().await;
            let waiting = self.pipeline.lock().entry(self.shard).or_default().len();
            if waiting == gathered || waiting >= MOST {
                break;
            }
            gathered = waiting;
        }
    }

    async fn serve(&self, batch: Vec<Queued<A, S>>) {
        let is_wanted =
            |queued: &Queued<A, S>| !queued.caller.as_ref().is_some_and(|c| c.is_closed());
        let wanted = batch.into_iter().filter(is_wanted);
        let (groups, callers): (Vec<_>, Vec<_>) =
            wanted.map(|Queued { group, caller }| (group, caller)).unzip();
        if groups.is_empty() {
            return;
        }
        let pipeline = Arc::clone(&self.pipeline);
        let batch = |orders| Batch::new(orders).in_a_task();
        let mut answer = Box::pin(async move { pipeline.decide(groups, batch).await });
        let (clock, end) = (&self.pipeline.clock, self.pipeline.end());
        let decided = match before(clock, end, &mut answer).await {
            Some(decided) => decided,
            None => {
                self.pipeline.abandon(answer);
                Err(StoreError::new(TOO_LATE))
            }
        };
        // Before anybody hears of it, who may ask again at once.
        self.pipeline.breaker.tell(self.shard, &decided, || clock.now());
        self.deliver(callers, decided);
    }

    fn deliver(
        &self,
        callers: Vec<Option<oneshot::Sender<Reply<A, S>>>>,
        decided: Result<Vec<Decided<A, S>>, StoreError>,
    ) {
        match decided {
            // What nobody takes goes back as it is dropped.
            Ok(decided) => {
                for (caller, decided) in callers.into_iter().zip(decided) {
                    if let Some(caller) = caller {
                        let _ = caller.send(Ok(decided));
                    }
                }
            }
            Err(error) => {
                for caller in callers {
                    match caller {
                        Some(caller) => drop(caller.send(Err(error.clone()))),
                        None => self.pipeline.meters.failed(),
                    }
                }
            }
        }
    }
}

impl<A: Algorithm, S: Store<A>> Drop for Driver<A, S> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let left = self.pipeline.lock().entry(self.shard).or_default().lose_driver(self.last);
        // Whoever is told so may ask again.
        drop(left);
    }
}
