//! Sending batches for those who wait in the queue.

use super::{
    group::Decided,
    pipeline::{Pipeline, Queued, Reply, TOO_LATE},
    time::before,
};
use crate::{
    algorithm::Algorithm,
    store::{Store, StoreError},
};
use std::sync::Arc;
use tokio::{sync::oneshot, task::yield_now};

/// How many groups ride in a batch at most, so that no batch takes long.
const MOST: usize = 1024;

/// Empties the queue of a shard. Dropped before it has, with its runtime, it takes the queue with it, so that
/// nobody waits in vain.
pub(super) struct Driver<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    shard: u32,
    has_ended: bool,
}

impl<A: Algorithm, S: Store<A>> Driver<A, S> {
    /// One that is counted already.
    pub(super) fn new(pipeline: Arc<Pipeline<A, S>>, shard: u32) -> Self {
        Self { pipeline, shard, has_ended: false }
    }

    pub(super) async fn run(mut self) {
        while let Some(batch) = self.next() {
            self.serve(batch).await;
            // Those who have their answers ask again before the next batch leaves.
            yield_now().await;
        }
    }

    /// Those who wait, or the end of this driver: whoever comes after it needs another one.
    fn next(&mut self) -> Option<Vec<Queued<A, S>>> {
        let mut queues = self.pipeline.lock();
        let queue = queues.entry(self.shard).or_default();
        if queue.waiting.is_empty() {
            queue.drivers -= 1;
            self.has_ended = true;
            return None;
        }
        let most = queue.waiting.len().min(MOST);
        Some(queue.waiting.drain(..most).collect())
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
        let mut answer = Box::pin(async move { pipeline.decide(groups).await });
        let (clock, end) = (&self.pipeline.clock, self.pipeline.end());
        let decided = match before(clock, end, &mut answer).await {
            Some(decided) => decided,
            None => {
                self.pipeline.abandon(answer);
                Err(StoreError::new(TOO_LATE))
            }
        };
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
        let mut queues = self.pipeline.lock();
        let queue = queues.entry(self.shard).or_default();
        queue.drivers -= 1;
        let left = match queue.drivers {
            0 => std::mem::take(&mut queue.waiting),
            _ => Vec::new(),
        };
        drop(queues);
        // Whoever is told so may ask again.
        drop(left);
    }
}
