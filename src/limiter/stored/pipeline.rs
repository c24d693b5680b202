//! Group commit: asks that come while a batch is under way ride together in the next one.

use super::{
    driver::Driver,
    flight::{Flight, Lead},
    group::{Decided, Group},
    known::Known,
    line::Lane,
    settings::Settings,
    time::{before, shielded},
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    meters::StoreMeters,
    nanos::Nanos,
    store::{Batch, Order, Store, StoreError},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{runtime::Handle, sync::oneshot};

/// For how many deadlines an answer is waited for that is late already, so that what it grants can
/// go back. A store that never answers would otherwise be remembered for ever.
const LATE: u32 = 10;

/// The way to a store.
///
/// A caller who finds nobody else asking sends its own ask, and waits for the answer itself: a hop
/// to another task would cost as much as the rest. Whoever comes meanwhile gets in a queue, which a
/// driver empties: a task that is there as long as the queue is not empty. So no caller waits for
/// another one to be polled.
///
/// A batch holds up those behind it for one deadline at most.
pub(super) struct Pipeline<A: Algorithm, S: Store<A>> {
    store: S,
    pub(super) known: Known,
    pub(super) meters: StoreMeters,
    pub(super) clock: Clock,
    deadline: Nanos,
    queue: Mutex<Queue<A, S>>,
    /// How many drivers there may be.
    most_drivers: usize,
    /// Where drivers run whose callers run nowhere.
    runtime: Handle,
}

pub(super) struct Queue<A: Algorithm, S: Store<A>> {
    pub(super) waiting: Vec<Queued<A, S>>,
    pub(super) drivers: usize,
    /// Whether a caller is on its own way.
    pub(super) is_led: bool,
}

/// Why there is no answer at the deadline.
pub(super) const TOO_LATE: &str = "it did not answer in time";

/// What a caller is told.
pub(super) type Reply<A, S> = Result<Decided<A, S>, StoreError>;

/// A group on its way, and who wants to know what becomes of it.
pub(super) struct Queued<A: Algorithm, S: Store<A>> {
    pub(super) group: Group<A>,
    pub(super) caller: Option<oneshot::Sender<Reply<A, S>>>,
}

impl<A: Algorithm, S: Store<A>> Pipeline<A, S> {
    pub(super) fn new(
        store: S,
        known: Known,
        meters: StoreMeters,
        settings: &Settings,
        runtime: Handle,
    ) -> Arc<Self> {
        let most_drivers = store.batches_at_once().max(1);
        let queue = Mutex::new(Queue { waiting: Vec::new(), drivers: 0, is_led: false });
        let (clock, deadline) = (settings.clock.clone(), settings.deadline);
        Arc::new(Self { store, known, meters, clock, deadline, queue, most_drivers, runtime })
    }

    /// Asks the store.
    ///
    /// Dropped, it takes nothing: what was not sent is not sent, and what was granted goes back.
    pub(super) async fn ask(self: &Arc<Self>, group: Group<A>) -> Reply<A, S> {
        match self.queue(group) {
            Way::Alone(group, lead) => Flight::new(group, lead).await,
            Way::InQueue(answer) => match answer.await {
                Ok(reply) => reply,
                Err(_) => Err(StoreError::new("the task that asks it has ended")),
            },
        }
    }

    /// Tells the store that something goes back, whatever it answers and whoever asks.
    pub(super) fn send(self: &Arc<Self>, group: Group<A>) {
        let lanes: Vec<_> = group.orders().map(Lane::of).collect();
        // Now and once it has happened: whoever asks from now on rides behind it, and who has asked
        // already may be refused in the meantime.
        lanes.iter().for_each(|lane| self.known.freed(&lane.key));
        let queued = Queued { group, caller: None };
        let needs_driver = self.lock().join(queued, self.most_drivers);
        self.drive_if(needs_driver);
        lanes.iter().for_each(|lane| self.known.lines.call(lane));
    }

    fn queue(self: &Arc<Self>, group: Group<A>) -> Way<A, S> {
        let mut queue = self.lock();
        if !queue.is_led && queue.drivers == 0 {
            queue.is_led = true;
            return Way::Alone(group, Lead(Arc::clone(self)));
        }
        let (caller, answer) = oneshot::channel();
        let needs_driver = queue.join(Queued { group, caller: Some(caller) }, self.most_drivers);
        drop(queue);
        self.drive_if(needs_driver);
        Way::InQueue(answer)
    }

    fn drive_if(self: &Arc<Self>, needs_driver: bool) {
        if needs_driver {
            self.runtime().spawn(Driver::new(Arc::clone(self)).run());
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
        self.meters.batch(asked);
        let decide = async { self.store.decide(Batch::new(orders)).await };
        let answers = match shielded(decide).await {
            Some(answers) => answers,
            None => Err(StoreError::new("it panicked")),
        };
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
        let decided = |(group, size): (Group<A>, usize)| {
            Decided::new(Arc::clone(self), group, answers.by_ref().take(size).collect())
        };
        Ok(groups.into_iter().zip(sizes).map(decided).collect())
    }

    /// The deadline of what is asked now.
    pub(super) fn end(&self) -> Nanos {
        self.clock.now() + self.deadline
    }

    /// Nobody waits for this answer any more. It is listened to for a while, as what it grants has
    /// to go back.
    pub(super) fn abandon(self: &Arc<Self>, answer: impl Future<Output: Send> + Send + 'static) {
        let (clock, end) = (self.clock.clone(), self.clock.now() + self.deadline * LATE);
        self.runtime().spawn(async move { drop(before(&clock, end, answer).await) });
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue<A, S>> {
        // Nothing of anybody else's runs under it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a caller asks.
enum Way<A: Algorithm, S: Store<A>> {
    Alone(Group<A>, Lead<A, S>),
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

impl<A: Algorithm, S: Store<A>> fmt::Debug for Pipeline<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.lock();
        f.debug_struct("Pipeline")
            .field("waiting", &queue.waiting.len())
            .field("drivers", &queue.drivers)
            .finish_non_exhaustive()
    }
}
