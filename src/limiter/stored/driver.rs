//! Sending batches for those who wait in the queue.

use super::{
    caller::Caller,
    group::{Decided, Group},
    pipeline::Pipeline,
    queue::{Left, Load, Queued},
};
use crate::{
    algorithm::Algorithm,
    clock::before,
    nanos::Nanos,
    store::{Batch, Store, StoreError, TooLate},
};
use std::{future::poll_fn, mem, pin::Pin, sync::Arc, task::Poll};
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

/// Empties the queue of a shard. Dropped before it has, with its runtime, it leaves the rest to the runtime of
/// the limiter. If that has ended, it takes the queue with it, so that nobody waits in vain.
pub(super) struct Driver<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    shard: u32,
    load: Load,
    /// How many groups were in its last batch.
    last: usize,
    is_on_one_thread: bool,
    under_way: Option<UnderWay<A, S>>,
    /// What the store said to these, until they are told.
    answered: Option<Answered<A, S>>,
    has_ended: bool,
}

type Callers<A, S> = Vec<Option<Caller<A, S>>>;

type Answer<A, S> = Result<Vec<Decided<A, S>>, StoreError>;

type Answered<A, S> = (Callers<A, S>, Answer<A, S>);

/// A batch that the store was asked, and who waits for what it says.
struct UnderWay<A: Algorithm, S: Store<A>> {
    answer: Pin<Box<dyn Future<Output = Answer<A, S>> + Send>>,
    callers: Callers<A, S>,
    /// When it is given up.
    end: Nanos,
}

impl<A: Algorithm, S: Store<A>> Driver<A, S> {
    /// One that is counted already.
    pub(super) fn new(
        pipeline: Arc<Pipeline<A, S>>,
        shard: u32,
        load: Load,
        runtime: &Handle,
    ) -> Self {
        let is_on_one_thread = runtime.metrics().num_workers() == 1;
        let (under_way, answered) = (None, None);
        Self {
            pipeline,
            shard,
            load,
            last: 0,
            is_on_one_thread,
            under_way,
            answered,
            has_ended: false,
        }
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
        let (groups, callers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Queued { group, caller }| (group, caller)).unzip();
        let answered = match groups.is_empty() {
            true => (callers, Ok(Vec::new())),
            false => self.decide(groups, callers, end).await,
        };
        let callers = self.answered.insert(answered).0.len();
        self.turn(callers).await;
        self.pipeline.queue(self.shard, |queue| queue.unload(&mut self.load));
        self.deliver();
    }

    /// What the store answers by then.
    async fn decide(
        &mut self,
        groups: Vec<Group<A>>,
        callers: Callers<A, S>,
        end: Nanos,
    ) -> Answered<A, S> {
        let pipeline = Arc::clone(&self.pipeline);
        let batch = |orders| Batch::new(orders).in_a_task();
        let answer = Box::pin(async move { pipeline.decide(groups, batch).await });
        self.under_way = Some(UnderWay { answer, callers, end });
        let decided = self.answer(end).await;
        // Before anybody hears of it, who may ask again at once.
        let pipeline = &self.pipeline;
        pipeline.breaker.tell(self.shard, &decided, || pipeline.clock.now());
        let callers = self.under_way.take().map_or(Vec::new(), |under_way| under_way.callers);
        (callers, decided)
    }

    /// The same of the batch that is under way.
    async fn answer(&mut self, end: Nanos) -> Answer<A, S> {
        let (pipeline, shard) = (&self.pipeline, self.shard);
        let Some(UnderWay { answer, callers, .. }) = &mut self.under_way else {
            return Ok(Vec::new());
        };
        loop {
            let ends = callers.iter().flatten().filter_map(Caller::end);
            // When somebody in this batch or behind it is told that there is no answer.
            let first_end = pipeline.queue(shard, |queue| queue.sleeps_until(ends, end));
            if let Some(decided) = before(&pipeline.clock, first_end, answer.as_mut()).await {
                return decided;
            }
            if first_end == end {
                let nothing = Box::pin(async { Err(StoreError::new(TooLate)) });
                pipeline.abandon(mem::replace(answer, nothing));
                return Err(StoreError::new(TooLate));
            }
            let now = pipeline.clock.now();
            let mut waiting = pipeline.queue(shard, |queue| queue.overdue(now));
            let waiting = waiting.iter_mut().filter_map(|queued| queued.caller.as_mut());
            tell_overdue(waiting.chain(callers.iter_mut().flatten()), now);
        }
    }

    fn deliver(&mut self) {
        if let Some(answered) = self.answered.take() {
            tell(&self.pipeline, answered);
        }
    }
}

impl<A: Algorithm, S: Store<A>> UnderWay<A, S> {
    /// The same without its driver, which was dropped: callers may be in other runtimes.
    async fn goes_on(mut self, pipeline: Arc<Pipeline<A, S>>, shard: u32) {
        let decided = before(&pipeline.clock, self.end, self.answer.as_mut()).await;
        let decided = decided.unwrap_or_else(|| {
            pipeline.abandon(self.answer);
            Err(StoreError::new(TooLate))
        });
        pipeline.breaker.tell(shard, &decided, || pipeline.clock.now());
        tell(&pipeline, (self.callers, decided));
    }
}

/// Gives everybody their answer.
fn tell<A: Algorithm, S: Store<A>>(pipeline: &Pipeline<A, S>, (callers, decided): Answered<A, S>) {
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
                    None => pipeline.meters.failed(&error),
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
        let (pipeline, shard) = (Arc::clone(&self.pipeline), self.shard);
        let left = pipeline.queue(shard, |queue| queue.lose_driver(&mut self.load));
        if let Some(under_way) = self.under_way.take() {
            pipeline.at_home(under_way.goes_on(Arc::clone(&pipeline), shard));
        }
        // Whoever is told may ask again, and what nobody takes goes back by another driver.
        self.deliver();
        match left {
            Left::ToNobody(left) => drop(left),
            Left::To(load) => pipeline.drive_at_home(load, shard),
        }
    }
}
