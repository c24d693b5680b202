//! Group commit: asks that come while a batch is under way ride together in the next one.

use super::{
    flight::Flight,
    group::{Decided, Group},
};
use crate::{
    algorithm::Algorithm,
    store::{Batch, Order, Store, StoreError},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{runtime::Handle, sync::oneshot, task::yield_now};

/// How many groups ride in a batch at most, so that no batch takes long.
const MOST: usize = 1024;

/// The way to a store.
///
/// A caller who finds nobody else asking sends its own ask, and waits for the answer itself: a hop to another
/// task would cost as much as the rest. Whoever comes meanwhile gets in a queue, which a driver empties: a task
/// that is there as long as the queue is not empty. So no caller waits for another one to be polled.
pub(super) struct Pipeline<A: Algorithm, S: Store<A>> {
    store: S,
    queue: Mutex<Queue<A, S>>,
    /// How many drivers there may be.
    most_drivers: usize,
    /// Where drivers run whose callers run nowhere.
    runtime: Handle,
}

struct Queue<A: Algorithm, S: Store<A>> {
    waiting: Vec<Queued<A, S>>,
    drivers: usize,
    /// Whether a caller is on its own way.
    is_led: bool,
}

/// What a caller is told.
type Reply<A, S> = Result<Decided<A, S>, StoreError>;

/// A group on its way, and who wants to know what becomes of it.
struct Queued<A: Algorithm, S: Store<A>> {
    group: Group<A>,
    caller: Option<oneshot::Sender<Reply<A, S>>>,
}

impl<A: Algorithm, S: Store<A>> Pipeline<A, S> {
    pub(super) fn new(store: S, runtime: Handle) -> Arc<Self> {
        let most_drivers = store.batches_at_once().max(1);
        let queue = Queue { waiting: Vec::new(), drivers: 0, is_led: false };
        Arc::new(Self { store, queue: Mutex::new(queue), most_drivers, runtime })
    }

    /// Asks the store.
    ///
    /// Dropped, it takes nothing: what was not sent is not sent, and what was granted goes back.
    pub(super) async fn ask(self: &Arc<Self>, group: Group<A>) -> Reply<A, S> {
        match self.queue(group) {
            Way::Alone(group) => Flight::new(self, group).await,
            Way::InQueue(answer) => match answer.await {
                Ok(reply) => reply,
                Err(_) => Err(StoreError::new("the task that asks it has ended")),
            },
        }
    }

    /// Tells the store, whatever it answers and whoever asks.
    pub(super) fn send(self: &Arc<Self>, order: Order<A>) {
        let queued = Queued { group: Group::one(order), caller: None };
        let needs_driver = self.lock().join(queued, self.most_drivers);
        self.drive_if(needs_driver);
    }

    fn queue(self: &Arc<Self>, group: Group<A>) -> Way<A, S> {
        let mut queue = self.lock();
        if !queue.is_led && queue.drivers == 0 {
            queue.is_led = true;
            return Way::Alone(group);
        }
        let (caller, answer) = oneshot::channel();
        let needs_driver = queue.join(Queued { group, caller: Some(caller) }, self.most_drivers);
        drop(queue);
        self.drive_if(needs_driver);
        Way::InQueue(answer)
    }

    fn drive_if(self: &Arc<Self>, needs_driver: bool) {
        if needs_driver {
            let driver = Driver { pipeline: Arc::clone(self), has_ended: false };
            self.runtime().spawn(driver.run());
        }
    }

    pub(super) fn store(&self) -> &S {
        &self.store
    }

    /// Where tasks of this pipeline run.
    pub(super) fn runtime(&self) -> Handle {
        Handle::try_current().unwrap_or_else(|_| self.runtime.clone())
    }

    /// Asks for all of these, and brings together what belongs together.
    pub(super) async fn decide(
        self: &Arc<Self>,
        groups: Vec<Group<A>>,
    ) -> Result<Vec<Decided<A, S>>, StoreError> {
        let sizes: Vec<usize> = groups.iter().map(|group| 1 + group.others.len()).collect();
        let orders: Vec<Order<A>> = groups.iter().flat_map(Group::orders).cloned().collect();
        let asked = orders.len();
        let answers = self.store.decide(Batch::new(orders)).await?;
        if answers.len() != asked {
            let answered = answers.len();
            return Err(StoreError::new(format!("{answered} answers to {asked} asks")));
        }
        let mut answers = answers.into_iter();
        let decided = |(group, size): (Group<A>, usize)| {
            Decided::new(Arc::clone(self), group, answers.by_ref().take(size).collect())
        };
        Ok(groups.into_iter().zip(sizes).map(decided).collect())
    }

    /// The caller that was on its own way has arrived.
    pub(super) fn landed(&self) {
        self.lock().is_led = false;
    }

    fn lock(&self) -> MutexGuard<'_, Queue<A, S>> {
        // Nothing of anybody else's runs under it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a caller asks.
enum Way<A: Algorithm, S: Store<A>> {
    Alone(Group<A>),
    InQueue(oneshot::Receiver<Reply<A, S>>),
}

impl<A: Algorithm, S: Store<A>> Queue<A, S> {
    /// Gets in the queue. Whether that needs one more driver.
    fn join(&mut self, queued: Queued<A, S>, most_drivers: usize) -> bool {
        self.waiting.push(queued);
        let needs_driver = self.drivers < most_drivers;
        self.drivers += usize::from(needs_driver);
        needs_driver
    }
}

/// Empties the queue. Dropped before it has, with its runtime or by a store that panics, it takes the
/// queue with it, so that nobody waits in vain.
struct Driver<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    has_ended: bool,
}

impl<A: Algorithm, S: Store<A>> Driver<A, S> {
    async fn run(mut self) {
        while let Some(batch) = self.next() {
            self.serve(batch).await;
            // Those who have their answers ask again before the next batch leaves.
            yield_now().await;
        }
    }

    /// Those who wait, or the end of this driver: whoever comes after it needs another one.
    fn next(&mut self) -> Option<Vec<Queued<A, S>>> {
        let mut queue = self.pipeline.lock();
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
        // What is not delivered goes back as it is dropped.
        match self.pipeline.decide(groups).await {
            Ok(decided) => {
                for (caller, decided) in callers.into_iter().zip(decided) {
                    match caller {
                        Some(caller) => drop(caller.send(Ok(decided))),
                        None => drop(decided),
                    }
                }
            }
            Err(error) => {
                for caller in callers.into_iter().flatten() {
                    let _ = caller.send(Err(error.clone()));
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
        let mut queue = self.pipeline.lock();
        queue.drivers -= 1;
        let left = match queue.drivers {
            0 => std::mem::take(&mut queue.waiting),
            _ => Vec::new(),
        };
        drop(queue);
        // Whoever is told so may ask again.
        drop(left);
    }
}

impl<A: Algorithm, S: Store<A>> fmt::Debug for Pipeline<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.lock();
        f.debug_struct("Pipeline")
            .field("waiting", &queue.waiting.len())
            .field("drivers", &queue.drivers)
            .finish_non_exhaustive()
    }
}
