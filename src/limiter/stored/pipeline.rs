//! Group commit: asks that come while others are under way ride together in the next batch.

use super::{
    breaker::Breaker,
    caller::{Caller, Reply},
    carried::Carried,
    driver::Driver,
    first::shielded,
    flight::{Flight, Lead},
    group::{Decided, Group},
    known::Known,
    line::Lane,
    queue::{Load, Most, Place, Queue, Queued},
    settings::Settings,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    meters::StoreMeters,
    nanos::Nanos,
    store::{Batch, Order, Store, StoreError},
};
use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::{runtime::Handle, sync::oneshot};

/// For how many deadlines an answer is waited for that is late already, so that what it grants can
/// go back. A store that never answers would otherwise be remembered for ever.
const LATE: u32 = 10;

/// The way to a store.
///
/// A caller who finds nobody else asking sends its own ask, and waits for the answer itself: a hop
/// to another task would cost as much as the rest. Whoever comes meanwhile gets in a queue, which
/// drivers empty: tasks that are there as long as the queue is not empty. So no caller waits for
/// another one to be polled.
///
/// There is a queue for each shard of the store, so that a server which is away fails or holds up only
/// what it keeps. A batch holds up those behind it for one deadline at most.
pub(super) struct Pipeline<A: Algorithm, S: Store<A>> {
    store: S,
    pub(super) known: Known,
    pub(super) meters: StoreMeters,
    pub(super) breaker: Breaker,
    pub(super) clock: Clock,
    pub(super) deadline: Nanos,
    /// By shard. There are no more than the store has, so they stay.
    queues: Mutex<BTreeMap<u32, Queue<A, S>>>,
    /// In each queue.
    most: Most,
    /// Where drivers run whose callers run nowhere, and keep the time of callers.
    runtime: Handle,
}

impl<A: Algorithm, S: Store<A>> Pipeline<A, S> {
    pub(super) fn new(
        store: S,
        known: Known,
        meters: StoreMeters,
        breaker: Breaker,
        settings: &Settings,
        runtime: Handle,
    ) -> Arc<Self> {
        let most = Most { drivers: store.batches_at_once().max(1), groups: settings.max_batch };
        let queues = Mutex::new(BTreeMap::new());
        let (clock, deadline) = (settings.clock.clone(), settings.deadline);
        Arc::new(Self { store, known, meters, breaker, clock, deadline, queues, most, runtime })
    }

    /// Tells the store that something goes back, whatever it answers and whoever asks.
    pub(super) fn send(self: &Arc<Self>, group: Group<A>) {
        let lanes: Vec<_> = group.orders().map(Lane::of).collect();
        // Now and once it has happened: whoever asks from now on rides behind it, and who has asked
        // already may be refused in the meantime.
        lanes.iter().for_each(|lane| self.known.freed(&lane.key));
        let shard = self.shard(&group);
        let queued = Queued { group, caller: None };
        let (place, now) = (self.place(), self.clock.now());
        let driver = self.queue(shard, |queue| queue.join(queued, place, now));
        self.drive(driver, shard);
        lanes.iter().for_each(|lane| self.known.lines.call(lane));
    }

    /// Asks the [shard](Self::shard) of a group.
    ///
    /// Dropped, it takes nothing: what was not sent is not sent, and what was granted goes back.
    pub(super) fn ask(self: &Arc<Self>, group: Group<A>, shard: u32, now: Nanos) -> Way<A, S> {
        let mut queues = self.lock();
        let queue = queues.entry(shard).or_insert_with(|| Queue::new(self.most));
        if !queue.is_led && queue.drivers() == 0 {
            queue.is_led = true;
            drop(queues);
            let lead = Lead { pipeline: Arc::clone(self), shard };
            return Way::Alone(Flight::new(group, lead));
        }
        let place = self.place();
        let end = now + self.deadline;
        let is_timed = place.is_none() && queue.keeps_time(end);
        let (reply, answer) = oneshot::channel();
        let caller = Caller::new(reply, is_timed.then_some(end));
        let queued = Queued { group, caller: Some(caller) };
        let driver = queue.join(queued, place, now);
        drop(queues);
        self.drive(driver, shard);
        Way::InQueue { answer, is_timed }
    }

    /// Where a group is sent. What is not taken together may be kept elsewhere, which the store knows.
    pub(super) fn shard(&self, group: &Group<A>) -> u32 {
        self.store.shard(group.first())
    }

    fn drive(self: &Arc<Self>, driver: Option<Load>, shard: u32) {
        if let Some(load) = driver {
            let runtime = self.runtime();
            runtime.spawn(Driver::new(Arc::clone(self), shard, load, &runtime).run());
        }
    }

    /// The same where the runtime of the caller is about to end.
    pub(super) fn drive_at_home(self: &Arc<Self>, load: Load, shard: u32) {
        self.at_home(Driver::new(Arc::clone(self), shard, load, &self.runtime).run());
    }

    /// Has a task run at home, whatever becomes of the runtime of the caller.
    pub(super) fn at_home(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Where whoever calls runs: at home outside of all runtimes, too.
    fn place(&self) -> Place {
        let here = Handle::try_current().ok()?.id();
        (here != self.runtime.id()).then_some(here)
    }

    pub(super) fn store(&self) -> &S {
        &self.store
    }

    /// Where tasks of this pipeline run.
    pub(super) fn runtime(&self) -> Handle {
        Handle::try_current().unwrap_or_else(|_| self.runtime.clone())
    }

    /// Asks for all of these in a batch made so, and brings together what belongs together.
    pub(super) async fn decide(
        self: &Arc<Self>,
        groups: Vec<Group<A>>,
        batch: impl FnOnce(Vec<Order<A>>) -> Batch<A>,
    ) -> Result<Vec<Decided<A, S>>, StoreError> {
        let asked = groups.iter().map(Group::len).sum();
        let mut orders = Vec::with_capacity(asked);
        orders.extend(groups.iter().flat_map(Group::orders).cloned());
        self.meters.batch(asked);
        let decide = async { self.store.decide(batch(orders)).await };
        let answers = match shielded(decide).await {
            Some(answers) => answers,
            None => Err(StoreError::new("it panicked")),
        };
        let at = self.clock.now();
        // Also when the answer is lost: it may have happened.
        for order in groups.iter().flat_map(Group::orders).filter(|order| order.ask.frees()) {
            self.known.freed(&order.key);
        }
        let answers = answers?;
        if answers.len() != asked {
            let answered = answers.len();
            return Err(StoreError::new(format!("{answered} answers to {asked} asks")));
        }
        let mut answers = answers.into_iter();
        let decided = |group| Decided::new(Arc::clone(self), group, &mut answers, at);
        Ok(groups.into_iter().map(decided).collect())
    }

    /// Nobody waits for this answer any more. It is listened to for a while, as what it grants has
    /// to go back.
    pub(super) fn abandon(self: &Arc<Self>, answer: impl Future<Output: Send> + Send + 'static) {
        let (clock, end) = (self.clock.clone(), self.clock.now() + self.deadline * LATE);
        let answer = async move { drop(answer.await) };
        let carried = Carried::new(answer, clock, end, self.runtime.clone());
        self.runtime().spawn(carried.listen());
    }

    /// Does this with the queue of a shard.
    pub(super) fn queue<T>(&self, shard: u32, act: impl FnOnce(&mut Queue<A, S>) -> T) -> T {
        act(self.lock().entry(shard).or_insert_with(|| Queue::new(self.most)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Queue<A, S>>> {
        // Nothing of anybody else's runs under it.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a caller asks.
pub(super) enum Way<A: Algorithm, S: Store<A>> {
    Alone(Flight<A, S>),
    InQueue {
        answer: oneshot::Receiver<Reply<A, S>>,
        /// Whether its driver keeps the time.
        is_timed: bool,
    },
}

impl<A: Algorithm, S: Store<A>> Future for Way<A, S> {
    type Output = Reply<A, S>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply<A, S>> {
        match self.get_mut() {
            Self::Alone(flight) => Pin::new(flight).poll(cx),
            Self::InQueue { answer, .. } => Pin::new(answer).poll(cx).map(|reply| {
                reply.unwrap_or_else(|_| Err(StoreError::new("the task that asks it has ended")))
            }),
        }
    }
}

impl<A: Algorithm, S: Store<A>> fmt::Debug for Pipeline<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues = self.lock();
        f.debug_struct("Pipeline")
            .field("waiting", &queues.values().map(Queue::len).sum::<usize>())
            .field("drivers", &queues.values().map(Queue::drivers).sum::<usize>())
            .finish_non_exhaustive()
    }
}
