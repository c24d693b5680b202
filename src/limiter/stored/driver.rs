//! Sending batches for those who wait in the queue.

use super::{
    caller::Caller,
    group::{Decided, Group},
    pipeline::Pipeline,
    queue::{Load, Queued},
    time::before,
};
use crate::{
    algorithm::Algorithm,
    nanos::Nanos,
    store::{Batch, Store, StoreError, TooLate},
};
use std::{future::poll_fn, mem, sync::Arc, task::Poll};
use tokio::{runtime::Handle, task::yield_now};

/// How often all others are let run at most before a batch leaves.
const YIELDS: usize = 3;

/// More callers than this are told after others were let run.
///
/// On several threads once, so that the runtime wakes another worker, which shares the callers. Otherwise the first
/// of them would wake it, and it might take that one away at once, and sleep again before the next wakes it.
///
/// On one thread until it is this driver's turn, from an answer to the next batch. Otherwise two answers that come
/// together would make two batches that leave together, again and again, with nothing to do for the server while
/// callers ask, nor for them while it answers.
const FEW: usize = 2;

/// How often others are let run at most until it is a driver's turn, which as a rule takes fewer.
const PASSES: usize = 2 * YIELDS;

/// Empties the queue of a shard. Dropped before it has, with its runtime, it takes the queue with it, so that
/// nobody waits in vain.
pub(super) struct Driver<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    shard: u32,
    load: Load,
    /// How many groups were in its last batch.
    last: usize,
    is_on_one_thread: bool,
    /// What the store said to these, until they are told.
    answered: Option<Answered<A, S>>,
    has_ended: bool,
}

type Answered<A, S> = (Vec<Option<Caller<A, S>>>, Result<Vec<Decided<A, S>>, StoreError>);

impl<A: Algorithm, S: Store<A>> Driver<A, S> {
    /// One that is counted already.
    pub(super) fn new(
        pipeline: Arc<Pipeline<A, S>>,
        shard: u32,
        load: Load,
        runtime: &Handle,
    ) -> Self {
        let is_on_one_thread = runtime.metrics().num_workers() == 1;
        Self { pipeline, shard, load, last: 0, is_on_one_thread, answered: None, has_ended: false }
    }

    pub(super) async fn run(mut self) {
        loop {
            let now = self.pipeline.clock.now();
            let end = now + self.pipeline.deadline;
            let Some(batch) = self.next(now, end) else { break };
            self.serve(batch, now, end).await;
            self.gather().await;
        }
    }

    /// Those who wait, or the end of this driver.
    fn next(&mut self, now: Nanos, end: Nanos) -> Option<Vec<Queued<A, S>>> {
        let load = &mut self.load;
        let batch = self.pipeline.queue(self.shard, |queue| queue.next(load, now, end));
        self.last = batch.as_ref().map_or(0, Vec::len);
        self.has_ended = batch.is_none();
        batch
    }

    /// Lets those ask who are about to, above all those who have their answers: until as many have come as
    /// had them, or nobody more while all others were let run.
    async fn gather(&mut self) {
        let mut waiting = 0;
        for _ in 0..YIELDS {
            let_others_run().await;
            let now_waiting = self.pipeline.queue(self.shard, |queue| queue.len());
            let gathered = mem::replace(&mut waiting, now_waiting);
            if waiting == gathered || waiting >= self.last {
                break;
            }
        }
        if waiting == 0 {
            self.pipeline.queue(self.shard, |queue| queue.end_turn(&mut self.load));
            // It is about to end. Whoever has blocked on a future runs after all tasks.
            yield_now().await;
        }
    }

    /// Waits until this many callers may be told.
    async fn turn(&mut self, callers: usize) {
        if callers <= FEW {
            return;
        }
        if !self.is_on_one_thread {
            return let_others_run().await;
        }
        for _ in 0..PASSES {
            if self.takes_turn() {
                break;
            }
            let_others_run().await;
        }
    }

    fn takes_turn(&mut self) -> bool {
        self.pipeline.queue(self.shard, |queue| queue.takes_turn(&mut self.load))
    }

    async fn serve(&mut self, mut batch: Vec<Queued<A, S>>, now: Nanos, end: Nanos) {
        // Whoever has made this task may have held it up.
        tell_overdue(batch.iter_mut().filter_map(|queued| queued.caller.as_mut()), now);
        batch.retain(|queued| !queued.caller.as_ref().is_some_and(Caller::is_gone));
        let (groups, mut callers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Queued { group, caller }| (group, caller)).unzip();
        let decided = match groups.is_empty() {
            true => Ok(Vec::new()),
            false => self.decide(groups, &mut callers, end).await,
        };
        let callers = self.answered.insert((callers, decided)).0.len();
        self.turn(callers).await;
        self.pipeline.queue(self.shard, |queue| queue.unload(&mut self.load));
        self.deliver();
    }

    /// What the store answers by then.
    async fn decide(
        &self,
        groups: Vec<Group<A>>,
        callers: &mut [Option<Caller<A, S>>],
        end: Nanos,
    ) -> Result<Vec<Decided<A, S>>, StoreError> {
        let pipeline = Arc::clone(&self.pipeline);
        let batch = |orders| Batch::new(orders).in_a_task();
        let mut answer = Box::pin(async move { pipeline.decide(groups, batch).await });
        let clock = &self.pipeline.clock;
        let decided = loop {
            let first_end = self.sleeps_until(callers, end);
            if let Some(decided) = before(clock, first_end, &mut answer).await {
                break decided;
            }
            if first_end == end {
                self.pipeline.abandon(answer);
                break Err(StoreError::new(TooLate));
            }
            let now = clock.now();
            let mut waiting = self.pipeline.queue(self.shard, |queue| queue.overdue(now));
            let waiting = waiting.iter_mut().filter_map(|queued| queued.caller.as_mut());
            tell_overdue(waiting.chain(callers.iter_mut().flatten()), now);
        };
        // Before anybody hears of it, who may ask again at once.
        self.pipeline.breaker.tell(self.shard, &decided, || clock.now());
        decided
    }

    /// When somebody in this batch or behind it is told that there is no answer.
    fn sleeps_until(&self, callers: &[Option<Caller<A, S>>], end: Nanos) -> Nanos {
        let ends = callers.iter().flatten().filter_map(Caller::end);
        self.pipeline.queue(self.shard, |queue| queue.sleeps_until(ends, end))
    }

    fn deliver(&mut self) {
        let Some((callers, decided)) = self.answered.take() else { return };
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
                        None => self.pipeline.meters.failed(&error),
                    }
                }
            }
        }
    }
}

fn tell_overdue<'a, A: Algorithm, S: Store<A>>(
    callers: impl Iterator<Item = &'a mut Caller<A, S>>,
    now: Nanos,
) {
    for caller in callers.filter(|caller| caller.is_overdue(now)) {
        caller.tell(Err(StoreError::new(TooLate)));
    }
}

/// Lets the tasks of this worker run that are ready. Tokio's own yield looks at all sockets and timers before it
/// goes on, for which it asks the system.
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
        let left = self.pipeline.queue(self.shard, |queue| queue.lose_driver(&mut self.load));
        // Whoever is told may ask again, and what nobody takes goes back by another driver.
        self.deliver();
        drop(left);
    }
}
