//! Where states are remembered. Each step on a state is atomic.
//!
//! A limit that never leaves its process keeps its states in memory by itself. For one that
//! outlives it or is shared by many, a [`Store`] keeps them.
//!
//! # Which store
//!
//! | for | take | a batch costs |
//! |---|---|---|
//! | the processes of one host | `SqliteStore` (feature `sqlite`) | a transaction, none for refusals |
//! | many hosts, and many asks | `RedisStore` (feature `redis`) | one round trip |
//! | a Redis that may fail over | `RedisStore::open_sentinel` | one round trip |
//! | more than one Redis can do | `RedisStore::open_cluster` | one round trip to each slot |
//! | many hosts that have a Postgres | `PostgresStore` (feature `postgres`) | one round trip |
//! | tests of code that uses a store | [`MemoryStore`] | nothing |
//!
//! All of them keep every algorithm of this crate. Those of your own, whose states are
//! [`StoredState`](crate::algorithm::StoredState)s, go to SQLite as they are, and to the servers by
//! `RedisStore::optimistic` and `PostgresStore::decided_here`, which take two round trips.
//!
//! Servers count in whole microseconds: intervals and periods are [rounded up](Store::keep_to) to
//! them. The clock that counts is that of the store.
//!
//! # Using one
//!
//! A [`StoredLimiter`](crate::StoredLimiter) makes batches of what its callers ask, waits for
//! turns, and knows what to do when the store does not answer. It takes any store:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_ratelimit::{OnFailure, Quota, StoredLimiter, store::MemoryStore};
//!
//! let (store, trials) = (MemoryStore::default(), Quota::new(2)?);
//! let process = || {
//!     StoredLimiter::builder("trials", store.clone(), trials, OnFailure::Refuse).build()
//! };
//! let (one, another) = (process()?, process()?);
//!
//! // Limits of one name in one store are the same.
//! one.key("alice").try_acquire().await?;
//! another.key("alice").try_acquire().await?;
//! one.key("alice").try_acquire().await.expect_err("both are spent");
//! # Ok(())
//! # }
//! ```
//!
//! # Writing one
//!
//! Where the store runs Rust, implement [`Records`] (how one record is read, written and forgotten)
//! and [`Store::decide`] by [`Batch::answer`], under a lock or in a transaction:
//! `examples/custom_store.rs` does that in few lines. A server that runs scripts decides by itself,
//! for algorithms that are [`Scripted`](crate::algorithm::Scripted). Then hold it to the contract of [`Store`]
//! by `conformance::store` (feature `conformance`), which tries short histories and says which
//! point they break.

mod order;
mod store_key;
mod answer;
mod record;
mod records;
mod stored;
mod failure;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

pub(crate) mod table;
pub(crate) mod snapshot;

pub use answer::Answer;
pub use failure::{StoreError, TooLate, Unreadable};
pub use memory::MemoryStore;
pub use order::{Batch, Order, StoreAsk, StoredLimit};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresRecords, PostgresStore};
pub use record::Record;
pub use records::Records;
#[cfg(feature = "redis")]
pub use redis::{AcrossSlots, Contended, ManagedConnection, OptimisticRedisStore, RedisStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteBuilder, SqliteStore, Synchronous};
pub use store_key::StoreKey;

use crate::{algorithm::Algorithm, invalid::Invalid};

/// Remembers the records of keys; implement it for a database of your own.
///
/// A store is asked in batches, by the callers of one process; other processes ask it, too. It is a
/// handle: clones share what they keep.
///
/// # Contract
///
/// - There is an answer for each order, in the order of the orders.
/// - All orders of a [group](Batch::groups) are decided at one instant, as one atomic step: of
///   several each takes its permits, or none does. A batch may be as many steps as it has groups.
/// - Orders about keys of one [tag](StoreKey::tag) can be a group. A store that is spread over several
///   servers may be unable to decide others as one: then [`can_group`](Self::can_group) says so, and
///   a batch with such a group is an error and takes nothing.
/// - Orders about the same key are decided one after the other, as they come in the batch.
/// - The time is that of the store, not of the callers, unless the batch [sets](Batch::now) it.
/// - [`Batch::answer`] does all of this for stores that can run Rust. Others give the same
///   answers.
/// - A record is kept until it [equals new](Record::new_at) at least.
/// - A limit of the same name with other parameters goes on from the record that the one before has
///   left: what was reserved stays where it is, and what is outstanding is
///   [taken over](Algorithm::adopt), cut to what calls could have taken of the new limit. By the
///   [measure](Record::measure) it knows that another one was there.
/// - A failure that leaves the answers unknown is an error, never a "yes".
/// - The future may be dropped at any point. Then the batch is decided as a whole, or
///   each group of it is decided or not.
///
/// `conformance::store` tests whether a store keeps it (feature `conformance`).
///
/// # Example
///
/// ```
/// use std::{collections::HashMap, convert::Infallible, sync::{Arc, Mutex}};
/// use tower_ratelimit::{
///     Clock, Nanos, Strict,
///     store::{Answer, Batch, Record, Records, Store, StoreError, StoreKey, StoredLimit},
/// };
///
/// /// Keeps everything for ever.
/// #[derive(Clone, Default)]
/// struct Archive(Arc<Mutex<HashMap<(Arc<str>, StoreKey), Record<Nanos>>>>, Clock);
///
/// impl Store<Strict> for Archive {
///     async fn decide(&self, batch: Batch<Strict>) -> Result<Vec<Answer>, StoreError> {
///         let mut files = Files(self.0.lock().map_err(|_| StoreError::new("a lock is broken"))?);
///         batch.answer(self.1.now(), &mut files).map_err(StoreError::new)
///     }
/// }
///
/// struct Files<'a>(std::sync::MutexGuard<'a, HashMap<(Arc<str>, StoreKey), Record<Nanos>>>);
///
/// impl Records<Strict> for Files<'_> {
///     type Error = Infallible;
///
///     fn load(
///         &mut self,
///         limit: &StoredLimit<Strict>,
///         key: &StoreKey,
///     ) -> Result<Option<Record<Nanos>>, Infallible> {
///         Ok(self.0.get(&(Arc::clone(&limit.name), key.clone())).cloned())
///     }
///
///     fn save(
///         &mut self,
///         limit: &StoredLimit<Strict>,
///         key: &StoreKey,
///         record: Record<Nanos>,
///         _: Nanos,
///     ) -> Result<(), Infallible> {
///         self.0.insert((Arc::clone(&limit.name), key.clone()), record);
///         Ok(())
///     }
///
///     fn forget(&mut self, limit: &StoredLimit<Strict>, key: &StoreKey) -> Result<(), Infallible> {
///         self.0.remove(&(Arc::clone(&limit.name), key.clone()));
///         Ok(())
///     }
/// }
/// # let _ = Archive::default();
/// ```
pub trait Store<A: Algorithm>: Clone + Send + Sync + 'static {
    /// Answers a batch.
    ///
    /// It need not bound how long that takes: the limiter has a
    /// [deadline](crate::StoredBuilder::deadline). But it must not block the thread for longer than a
    /// moment: the task that asks also tells callers when it is too late.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the answers are not known.
    ///
    /// # Cancel safety
    ///
    /// See the contract: dropped, each group of the batch is decided as a whole, or not at all.
    fn decide(
        &self,
        batch: Batch<A>,
    ) -> impl Future<Output = Result<Vec<Answer>, StoreError>> + Send;

    /// Returns the algorithm as this store keeps it: itself, unless the store keeps less than whole
    /// nanoseconds. Then its intervals and windows are rounded up to what the store keeps.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the store cannot keep to it.
    fn keep_to(&self, algorithm: A) -> Result<A, Invalid> {
        Ok(algorithm)
    }

    /// Checks whether the store can decide these orders as one [group](Batch::groups). A limiter
    /// asks before it sends a group of several, so that one which cannot be decided fails by itself
    /// and not with all that would travel with it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it never can, whose source says why.
    fn can_group(&self, group: &[Order<A>]) -> Result<(), StoreError> {
        let _ = group;
        Ok(())
    }

    /// Returns where an order is decided, in a store that is spread over several servers. A limiter
    /// sends orders of different shards in different batches, and
    /// [leaves alone](crate::StoredBuilder::breaker) each by itself, so that a server which is away
    /// fails and holds up only what it keeps. A group goes where its first order belongs. Each shard
    /// is remembered for as long as the limiter is there, so there have to be few: as many as
    /// servers, or the slots of a cluster, and never one for each key.
    fn shard(&self, order: &Order<A>) -> u32 {
        let _ = order;
        0
    }

    /// Returns how many batches one limiter may ask of each shard at the same time, 1 at
    /// least and one from each runtime that it is used in, beside a single order that a caller sends by itself, and
    /// those batches that are given up because they take too long. Orders of different batches are decided in any order.
    /// Callers are shared out among them where there are many. A batch with something that nobody waits
    /// for, such as permits that go back, is followed by no other until it is answered.
    fn batches_at_once(&self) -> usize {
        1
    }
}
