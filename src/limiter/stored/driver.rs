//! Sending batches for those who wait in the queue.

use super::{
    group::Decided,
    pipeline::{Pipeline, TOO_LATE},
    queue::{Caller, Load, Queued},
    time::before,
};
use crate::{
    algorithm::Algorithm,
    nanos::Nanos,
    store::{Batch, Store, StoreError},
};
use std::{future::poll_fn, mem, sync::Arc, task::Poll};

/// How often all others are let run at most before a batch leaves.
const YIELDS: usize = 3;

/// Empties the queue of a shard. Dropped before it has, with its runtime, it takes the queue with it, so that
/// nobody waits in vain.
pub(super) struct Driver<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    shard: u32,
    load: Load,
    has_ended: bool,
}

impl<A: Algorithm, S: Store<A>> Driver<A, S> {
    /// One that is counted already.
    pub(super) fn new(pipeline: Arc<Pipeline<A, S>>, shard: u32, load: Load) -> Self {
        Self { pipeline, shard, load, has_ended: false }
    }

    pub(super) async fn run(mut self) {
        while let Some(batch) = self.next() {
            self.serve(batch).await;
            self.gather().await;
        }
    }

    /// Those who wait, or the end of this driver.
    fn next(&mut self) -> Option<Vec<Queued<A, S>>> {
        let mut queues = self.pipeline.lock();
        let queue = queues.entry(self.shard).or_default();
        let batch = queue.next(&mut self.load, self.pipeline.most_drivers);
        self.has_ended = batch.is_none();
        batch
    }

    /// Lets those ask who are about to, above all those who have their answers: until as many have come as
    /// had them, or nobody more while all others were let run.
    async fn gather(&self) {
        let mut gathered = 0;
        for _ in 0..YIELDS {
            let_others_run().await;
            let waiting = self.pipeline.lock().entry(self.shard).or_default().len();
            if waiting == gathered || waiting >= self.load.groups {
                break;
            }
            gathered = waiting;
        }
    }

    async fn serve(&self, batch: Vec<Queued<A, S>>) {
        let is_wanted =
            |queued: &Queued<A, S>| !queued.caller.as_ref().is_some_and(Caller::is_gone);
        let wanted = batch.into_iter().filter(is_wanted);
        let (groups, mut callers): (Vec<_>, Vec<_>) =
            wanted.map(|Queued { group, caller }| (group, caller)).unzip();
        if groups.is_empty() {
            return;
        }
        let pipeline = Arc::clone(&self.pipeline);
        let batch = |orders| Batch::new(orders).in_a_task();
        let mut answer = Box::pin(async move { pipeline.decide(groups, batch).await });
        let (clock, end) = (&self.pipeline.clock, self.pipeline.end());
        let decided = loop {
            let first_end = self.first_end(&callers).map_or(end, |first| first.min(end));
            if let Some(decided) = before(clock, first_end, &mut answer).await {
                break decided;
            }
            self.tell_overdue(&mut callers, clock.now());
            if first_end == end {
                self.pipeline.abandon(answer);
                break Err(StoreError::new(TOO_LATE));
            }
        };
        // Before anybody hears of it, who may ask again at once.
        self.pipeline.breaker.tell(self.shard, &decided, || clock.now());
        self.deliver(callers, decided);
    }

    /// When somebody in this batch or behind it is told that there is no answer.
    fn first_end(&self, callers: &[Option<Caller<A, S>>]) -> Option<Nanos> {
        let waiting = self.pipeline.lock().entry(self.shard).or_default().first_end();
        callers.iter().flatten().filter_map(Caller::end).chain(waiting).min()
    }

    fn tell_overdue(&self, callers: &mut [Option<Caller<A, S>>], now: Nanos) {
        let waiting = self.pipeline.lock().entry(self.shard).or_default().overdue(now);
        let mut waiting: Vec<_> = waiting.into_iter().map(|queued| queued.caller).collect();
        for caller in waiting.iter_mut().chain(callers).flatten() {
            if caller.is_overdue(now) {
                caller.tell(Err(StoreError::new(TOO_LATE)));
            }
        }
    }

    fn deliver(
        &self,
        callers: Vec<Option<Caller<A, S>>>,
        decided: Result<Vec<Decided<A, S>>, StoreError>,
    ) {
        match decided {
            // What nobody takes goes back as it is dropped.
            Ok(decided) => {
                for (caller, decided) in callers.into_iter().zip(decided) {
                    if let Some(mut caller) = caller {
                        caller.tell(Ok(decided));
                    }
                }
            }
            Err(error) => {
                for caller in callers {
                    match caller {
                        Some(mut caller) => caller.tell(Err(error.clone())),
                        None => self.pipeline.meters.failed(),
                    }
                }
            }
        }
    }
}

/// Lets all tasks run that are ready. Tokio's own yield looks at all sockets and timers before it goes on, for
/// which it asks the system.
async fn let_others_run() {
    let mut has_let = false;
    poll_fn(|cx| match mem::replace(&mut has_let, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

impl<A: Algorithm, S: Store<A>> Drop for Driver<A, S> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let left = self.pipeline.lock().entry(self.shard).or_default().lose_driver(&mut self.load);
        // Whoever is told so may ask again.
        drop(left);
    }
}
