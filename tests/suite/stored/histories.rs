//! Concurrent histories: whatever the batches, the answers are those of asks one after another.

use super::{
    Dice, ms,
    order::{Act, Event, is_possible},
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};
use tokio::{
    runtime::Handle,
    task::{JoinSet, yield_now},
    time::sleep,
};
use tower_ratelimit::{
    OnFailure, Quota, RateLimited, Reason, StoredLimiter,
    limiter::StoredKey,
    store::{Answer, Batch, MemoryStore, Store, StoreError},
};

const PERMITS: u64 = 6;

/// A quota whose store holds its answers up for a while that nobody foresees, before and after it decides.
#[derive(Clone)]
struct Dicey<S> {
    store: S,
    dice: Arc<Mutex<Dice>>,
    at_once: usize,
    pause: Pause,
}

/// How to let some time pass.
#[derive(Clone, Copy)]
enum Pause {
    /// On a clock that is paused.
    Milliseconds,
    /// In threads: others get on.
    Yields,
}

impl Pause {
    async fn pass(self, time: u64) {
        match self {
            Self::Milliseconds => sleep(ms(time)).await,
            Self::Yields => {
                for _ in 0..time {
                    yield_now().await;
                }
            }
        }
    }
}

impl<S: Store<Quota>> Store<Quota> for Dicey<S> {
    async fn decide(&self, batch: Batch<Quota>) -> Result<Vec<Answer>, StoreError> {
        let delay = || self.dice.lock().unwrap().roll(8);
        let (before, after) = (delay(), delay());
        self.pause.pass(before).await;
        let answers = self.store.decide(batch).await;
        self.pause.pass(after).await;
        answers
    }

    fn batches_at_once(&self) -> usize {
        self.at_once
    }
}

type Limit<S> = StoredKey<Quota, Dicey<S>>;

/// What has been seen so far of each key, in no order, and the time, which every look at it moves on.
#[derive(Clone)]
struct History {
    events: Arc<Mutex<Vec<Vec<Event>>>>,
    time: Arc<AtomicU64>,
}

/// How much happens in a history.
#[derive(Clone, Copy)]
struct Extent {
    callers: u64,
    /// How many calls each of them makes.
    calls: u64,
    keys: usize,
}

const ONE_KEY: Extent = Extent { callers: 4, calls: 3, keys: 1 };

/// As the keys have nothing to do with each other, each has a history of its own: of all calls in one it would
/// take long to find the order.
const SEVERAL_KEYS: Extent = Extent { callers: 5, calls: 5, keys: 3 };

/// What is seen of one key.
struct OfKey<'a> {
    history: &'a History,
    key: usize,
}

impl History {
    fn of(&self, key: usize) -> OfKey<'_> {
        OfKey { history: self, key }
    }

    fn tick(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }
}

impl OfKey<'_> {
    fn tick(&self) -> u64 {
        self.history.tick()
    }

    fn note(&self, began: u64, act: Act) {
        let ended = self.tick();
        self.history.events.lock().unwrap()[self.key].push(Event { act, began, ended });
    }

    /// The store has refused it, and not because it is in trouble.
    fn note_refused(&self, began: u64, cost: u32, refusal: &RateLimited) {
        assert_eq!(refusal.reason(), Reason::Exhausted, "{refusal}");
        self.note(began, Act::Refused(cost.into()));
    }

    /// Of what goes back nobody sees when it does.
    fn note_unseen(&self, began: u64, acts: &[Act]) {
        let event = |act: &Act| Event { act: *act, began, ended: u64::MAX };
        self.history.events.lock().unwrap()[self.key].extend(acts.iter().map(event));
    }

    async fn call<S: Store<Quota>>(&self, limit: &Limit<S>, dice: &mut Dice, pause: Pause) {
        let cost = u32::try_from(1 + dice.roll(3)).unwrap();
        let began = self.tick();
        match dice.roll(12) {
            0..6 => match limit.try_acquire_many(cost).await {
                Ok(permit) => {
                    let left = permit.decision().unwrap().remaining;
                    self.note(began, Act::Took(cost.into(), left.into()));
                    if dice.roll(2) == 0 {
                        pause.pass(dice.roll(8)).await;
                        let began = self.tick();
                        permit.refund();
                        self.note_unseen(began, &[Act::GaveBack(cost.into())]);
                    }
                }
                Err(refusal) => self.note_refused(began, cost, &refusal),
            },
            6..9 => {
                let mut gone = Box::pin(limit.try_acquire_many(cost));
                let patience = pause.pass(dice.roll(12));
                let result = tokio::select! {
                    biased;
                    result = &mut gone => Some(result),
                    () = patience => None,
                };
                match result {
                    Some(Ok(permit)) => {
                        let left = permit.decision().unwrap().remaining;
                        self.note(began, Act::Took(cost.into(), left.into()));
                    }
                    Some(Err(refusal)) => self.note_refused(began, cost, &refusal),
                    None => {
                        drop(gone);
                        let acts = [Act::MayHaveTaken(cost.into()), Act::IfSoGaveBack(cost.into())];
                        self.note_unseen(began, &acts);
                    }
                }
            }
            9 => {
                let left = limit.peek(0).await.unwrap().remaining;
                self.note(began, Act::Saw(left.into()));
            }
            10 => {
                limit.charge(1).await.unwrap();
                self.note(began, Act::Charged(1));
            }
            _ => {
                limit.reset().await.unwrap();
                self.note(began, Act::Began);
            }
        }
    }
}

/// Some callers in tasks of their own, and a look at what is left once all is quiet.
async fn history<S: Store<Quota>>(
    store: S,
    seed: u64,
    pause: Pause,
    extent: Extent,
) -> Vec<Vec<Event>> {
    let mut dice = Dice::new(seed);
    let store = Dicey {
        store,
        at_once: 1 + dice.index(3),
        dice: Arc::new(Mutex::new(Dice::new(seed + 1_000_000))),
        pause,
    };
    let quota = Quota::new(u32::try_from(PERMITS).unwrap()).unwrap();
    // What is kept may outlive the history.
    let name = format!("history {seed}");
    let limiter = StoredLimiter::builder(name, store, quota, OnFailure::Refuse).build().unwrap();
    let limits: Vec<_> = (0..extent.keys as u64).map(|key| limiter.key(&key)).collect();
    let events = Arc::new(Mutex::new(vec![Vec::new(); extent.keys]));
    let history = History { events, time: Arc::default() };
    let mut callers = JoinSet::new();
    for caller in 0..extent.callers {
        let (history, limits) = (history.clone(), limits.clone());
        callers.spawn(async move {
            let mut dice = Dice::new(seed * 10 + caller);
            for _ in 0..extent.calls {
                pause.pass(dice.roll(10)).await;
                let key = dice.index(limits.len());
                history.of(key).call(&limits[key], &mut dice, pause).await;
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    // What goes back is on its way in tasks.
    while Handle::current().metrics().num_alive_tasks() > 0 {
        pause.pass(1).await;
    }
    let quiet = history.tick();
    for event in history.events.lock().unwrap().iter_mut().flatten() {
        event.ended = event.ended.min(quiet);
    }
    for (key, limit) in limits.iter().enumerate() {
        let began = history.tick();
        let left = limit.peek(0).await.unwrap().remaining;
        history.of(key).note(began, Act::Saw(left.into()));
    }
    history.events.lock().unwrap().clone()
}

/// Whatever happens to a store in memory, or to others.
async fn are_possible<S: Store<Quota>>(
    store: impl Fn() -> S,
    seeds: u64,
    pause: Pause,
    extent: Extent,
) {
    for seed in 0..seeds {
        for (key, events) in history(store(), seed, pause, extent).await.iter().enumerate() {
            assert!(is_possible(PERMITS, events), "seed {seed}, key {key}: {events:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn histories_of_tasks_are_those_of_asks_one_after_another() {
    are_possible(MemoryStore::default, 500, Pause::Milliseconds, ONE_KEY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn histories_of_threads_are_those_of_asks_one_after_another() {
    are_possible(MemoryStore::default, 500, Pause::Yields, ONE_KEY).await;
}

#[tokio::test(start_paused = true)]
async fn histories_of_several_keys_in_the_same_batches_are_those_of_asks_one_after_another() {
    are_possible(MemoryStore::default, 300, Pause::Milliseconds, SEVERAL_KEYS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn histories_of_several_keys_in_threads_are_those_of_asks_one_after_another() {
    are_possible(MemoryStore::default, 200, Pause::Yields, SEVERAL_KEYS).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_a_file_are_those_of_asks_one_after_another() {
    let folder = crate::servers::folder::Folder::new();
    let store = folder.open();
    are_possible(|| store.clone(), 60, Pause::Yields, SEVERAL_KEYS).await;
}
