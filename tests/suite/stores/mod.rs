//! Floor 2: stores, and the arithmetic of those that run Rust.

use std::{collections::HashMap, convert::Infallible, sync::Arc};
use tower_ratelimit::{
    Algorithm, Ask, Grant, Nanos, Outcome, Take,
    store::{Answer, Batch, Order, Record, Records, StoreAsk, StoreKey, StoredLimit},
};

mod broken;
mod histories;

mod bounds;
pub(crate) mod changing;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod crowds;
#[cfg(all(feature = "sqlite", feature = "redis", feature = "postgres"))]
mod everywhere;
#[cfg(all(feature = "sqlite", feature = "redis", feature = "postgres"))]
mod kinds;
mod forgetting;
mod groups;
mod kit;
mod limits;
mod line;
mod memory;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
mod redis;
pub(crate) mod random;
mod returning;
mod slots;
mod spread;
pub(crate) mod walk;

/// The name of a limit, and a key of it.
type Name = (Arc<str>, StoreKey);

/// Records in a map, and how often anybody wrote there.
struct Shelf<A: Algorithm> {
    records: HashMap<Name, (Record<A::State>, Nanos)>,
    writes: usize,
}

impl<A: Algorithm> Default for Shelf<A> {
    fn default() -> Self {
        Self { records: HashMap::new(), writes: 0 }
    }
}

impl<A: Algorithm> Clone for Shelf<A> {
    fn clone(&self) -> Self {
        Self { records: self.records.clone(), writes: self.writes }
    }
}

fn place<A>(limit: &StoredLimit<A>, key: &StoreKey) -> (Arc<str>, StoreKey) {
    (Arc::clone(&limit.name), key.clone())
}

impl<A: Algorithm> Records<A> for Shelf<A> {
    type Error = Infallible;

    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Infallible> {
        Ok(self.records.get(&place(limit, key)).map(|(record, _)| record.clone()))
    }

    fn save(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
        record: Record<A::State>,
        new_at: Nanos,
    ) -> Result<(), Infallible> {
        self.writes += 1;
        self.records.insert(place(limit, key), (record, new_at));
        Ok(())
    }

    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Infallible> {
        self.writes += 1;
        self.records.remove(&place(limit, key));
        Ok(())
    }
}

/// One key of one limit in a store.
struct Seam<A: Algorithm> {
    limit: Arc<StoredLimit<A>>,
    key: StoreKey,
    shelf: Shelf<A>,
}

impl<A: Algorithm> Clone for Seam<A> {
    fn clone(&self) -> Self {
        let (limit, key) = (Arc::clone(&self.limit), self.key.clone());
        Self { limit, key, shelf: self.shelf.clone() }
    }
}

impl<A: Algorithm> Seam<A> {
    fn new(algorithm: A) -> Self {
        Self::of(&Arc::new(StoredLimit { name: "seam".into(), algorithm }))
    }

    fn of(limit: &Arc<StoredLimit<A>>) -> Self {
        Self { limit: Arc::clone(limit), key: StoreKey::new("key"), shelf: Shelf::default() }
    }

    fn ask(&mut self, now: u64, ask: StoreAsk) -> Answer {
        let (limit, key) = (Arc::clone(&self.limit), self.key.clone());
        let batch = Batch::new(vec![Order { limit, key, ask, is_with_previous: false }]);
        let answers = match batch.answer(Nanos::new(now), &mut self.shelf) {
            Ok(answers) => answers,
            Err(never) => match never {},
        };
        assert_eq!(answers.len(), 1);
        answers[0]
    }

    fn take(&mut self, now: u64, cost: u32) -> Answer {
        self.ask(now, StoreAsk::Ask(Ask::Take(Take::fresh(cost))))
    }

    /// The instant of a reservation, however long the wait.
    fn reserve(&mut self, now: u64, cost: u32) -> Option<Grant> {
        self.reserve_within(now, cost, Nanos::MAX).decision.grant()
    }

    fn reserve_within(&mut self, now: u64, cost: u32, max_wait: Nanos) -> Answer {
        self.ask(now, StoreAsk::Reserve { cost, max_wait })
    }

    fn give_back(&mut self, now: u64, grant: Grant) -> Answer {
        self.ask(now, StoreAsk::Return(grant))
    }

    /// The record and the instant from which on it equals new.
    fn record(&self) -> Option<&(Record<A::State>, Nanos)> {
        self.shelf.records.values().next()
    }
}

/// The wait of a refusal.
fn wait(answer: Answer) -> Option<u64> {
    match answer.decision.outcome {
        Outcome::Later(wait) => Some(wait.get()),
        _ => None,
    }
}

fn rate(permits: u32, nanoseconds: u64) -> tower_ratelimit::Rate {
    tower_ratelimit::Rate::new(permits, std::time::Duration::from_nanos(nanoseconds)).unwrap()
}
