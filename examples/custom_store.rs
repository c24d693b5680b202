//! A store of your own: where records are kept is up to you.
//!
//! ```text
//! cargo run --example custom_store
//! ```
//!
//! [`Shelf`] keeps records in a sorted map, by limit and key; it stands for whatever you have: a
//! table, a file, a cache. [`Records`] says how one record is read, written and forgotten, and
//! [`Batch::answer`] does the arithmetic, of every algorithm. What is left for [`Store`] is to see that
//! nobody else is at the records meanwhile, which a lock does here and a transaction elsewhere. The
//! conformance kit says whether all of that is right.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    sync::{Arc, Mutex},
};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Clock, LeakyBucket, Nanos, Rate, SlidingWindow,
    conformance::{self, Violation},
    store::{
        Answer, Batch, Order, Record, Records, Store, StoreAsk, StoreError, StoreKey, StoredLimit,
    },
};

/// How many records there may be before those are thrown away that equal new.
const ROOM: usize = 1_000;

/// Clones are the same shelf.
struct Shelf<A: Algorithm> {
    boards: Arc<Mutex<Boards<A>>>,
    clock: Clock,
}

/// Each record, and from when on it equals a new one.
struct Boards<A: Algorithm>(BTreeMap<Name, (Record<A::State>, Nanos)>);

/// The name of a limit, and a key of it.
type Name = (Arc<str>, StoreKey);

impl<A: Algorithm> Shelf<A> {
    fn new() -> Self {
        let boards = Arc::new(Mutex::new(Boards(BTreeMap::new())));
        Self { boards, clock: Clock::monotonic() }
    }
}

impl<A: Algorithm> Clone for Shelf<A> {
    fn clone(&self) -> Self {
        Self { boards: Arc::clone(&self.boards), clock: self.clock.clone() }
    }
}

impl<A: Algorithm> Store<A> for Shelf<A> {
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        // Who comes after a panic does not know what it left: that is a failure, and not a "yes".
        let mut boards = self.boards.lock().map_err(|_| StoreError::new("the shelf broke"))?;
        let now = batch.now().unwrap_or_else(|| self.clock.now());
        if boards.0.len() > ROOM {
            boards.0.retain(|_, (_, new_at)| *new_at > now);
        }
        batch.answer(now, &mut *boards).map_err(StoreError::new)
    }
}

impl<A: Algorithm> Records<A> for Boards<A> {
    type Error = Infallible;

    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Infallible> {
        let found = self.0.get(&(Arc::clone(&limit.name), key.clone()));
        Ok(found.map(|(record, _)| record.clone()))
    }

    fn save(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
        record: Record<A::State>,
        new_at: Nanos,
    ) -> Result<(), Infallible> {
        self.0.insert((Arc::clone(&limit.name), key.clone()), (record, new_at));
        Ok(())
    }

    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Infallible> {
        self.0.remove(&(Arc::clone(&limit.name), key.clone()));
        Ok(())
    }
}

/// The shelf with any of the algorithms, and with two of them alone.
async fn keeps_the_contract() -> Result<(), Violation> {
    conformance::store::<AnyAlgorithm, _>(Shelf::new).await?;
    conformance::store::<LeakyBucket, _>(Shelf::new).await?;
    conformance::store::<SlidingWindow, _>(Shelf::new).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let shelf = Shelf::new();
    let algorithm = LeakyBucket::new(Rate::per_second(1)?).capacity(2)?;
    let limit = Arc::new(StoredLimit { name: "greetings".into(), algorithm });
    let max_wait = Nanos::new(5_000_000_000);
    let order = |name: &str| Order {
        limit: Arc::clone(&limit),
        key: StoreKey::new(name),
        ask: StoreAsk::Reserve { cost: 1, max_wait },
        is_with_previous: false,
    };
    let names = ["ada", "ada", "ada", "bob", "ada"];
    let answers = shelf.decide(Batch::new(names.map(order).into())).await?;
    for (name, answer) in names.iter().zip(answers) {
        println!("{name}: permits to be had in {:?}", answer.wait);
    }
    keeps_the_contract().await?;
    println!("the shelf keeps the contract of a store");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_shelf_keeps_the_contract_of_a_store() -> Result<(), super::Violation> {
        super::keeps_the_contract().await
    }
}
