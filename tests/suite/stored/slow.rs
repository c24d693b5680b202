//! A store that takes its time, and fails when it is told to.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;
use tower_ratelimit::{
    Algorithm,
    store::{Answer, Batch, MemoryStore, Order, Store, StoreError},
};

/// It decides halfway: half of its time passes before, half of it after.
pub(crate) struct Slow<A: Algorithm> {
    store: MemoryStore<A>,
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    takes: Duration,
    mood: Mood,
    at_once: usize,
    is_spread: bool,
    batches: Vec<usize>,
    tasks: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Answers,
    Fails,
    /// Never comes back.
    Hangs,
    Panics,
    /// One answer less than there are orders.
    Forgets,
    /// One answer more.
    Rambles,
}

impl<A: Algorithm> Slow<A> {
    /// A store that takes so many milliseconds.
    pub(crate) fn new(milliseconds: u64) -> Self {
        let takes = Duration::from_millis(milliseconds);
        let script = Script { takes, at_once: 1, ..Script::default() };
        Self { store: MemoryStore::default(), script: Arc::new(Mutex::new(script)) }
    }

    pub(crate) fn at_once(self, batches: usize) -> Self {
        self.script.lock().unwrap().at_once = batches;
        self
    }

    /// As if keys of different tags lay on different servers: a group of them cannot be decided, and
    /// fails whatever travels with it.
    pub(crate) fn spread(self) -> Self {
        self.script.lock().unwrap().is_spread = true;
        self
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.script.lock().unwrap().mood = mood;
    }

    /// How many orders came in each batch so far.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.script.lock().unwrap().batches.clone()
    }

    /// Whether a task asked, of each batch so far.
    pub(crate) fn tasks(&self) -> Vec<bool> {
        self.script.lock().unwrap().tasks.clone()
    }
}

impl<A: Algorithm> Store<A> for Slow<A> {
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        let (takes, mood) = {
            let mut script = self.script.lock().unwrap();
            script.batches.push(batch.orders().len());
            script.tasks.push(batch.is_in_a_task());
            (script.takes, script.mood)
        };
        sleep(takes / 2).await;
        batch.groups().try_for_each(|group| self.can_group(group))?;
        match mood {
            Mood::Answers | Mood::Forgets | Mood::Rambles => {}
            Mood::Fails => return Err(StoreError::new("it is told to")),
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => panic!("it is told to"),
        }
        let answers = self.store.decide(batch).await;
        sleep(takes - takes / 2).await;
        let mut answers = answers?;
        match mood {
            Mood::Forgets => drop(answers.pop()),
            Mood::Rambles => answers.extend(answers.last().copied()),
            _ => {}
        }
        Ok(answers)
    }

    fn can_group(&self, group: &[Order<A>]) -> Result<(), StoreError> {
        let is_apart = group.iter().any(|order| order.key.tag() != group[0].key.tag());
        match is_apart && self.script.lock().unwrap().is_spread {
            true => Err(StoreError::new("keys lie apart")),
            false => Ok(()),
        }
    }

    fn batches_at_once(&self) -> usize {
        self.script.lock().unwrap().at_once
    }
}

impl<A: Algorithm> Clone for Slow<A> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), script: Arc::clone(&self.script) }
    }
}

impl<A: Algorithm> fmt::Debug for Slow<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slow").field("script", &self.script).finish_non_exhaustive()
    }
}
