//! The store for algorithms that are not scripted.

use super::{
    RedisStore,
    redis_store::Servers,
    reply,
    script::SWAP,
    shelf::{self, Shelf},
    slot::for_each_slot,
};
use crate::{
    algorithm::{Algorithm, StoredState},
    store::{Answer, Batch, Order, Store, StoreError},
};
use redis::{RedisError, Value, aio::ConnectionLike};
use std::{error::Error, fmt};

/// How often a batch is tried.
const ATTEMPTS: u32 = 100;

/// A [`Store`] in Redis for algorithms of your own, whose states can be
/// [written down](StoredState): what [`RedisStore::optimistic`] makes.
///
/// The records of a batch are read together with the time of the server, the batch is decided here,
/// and what it has changed is written when no other process has changed any of it meanwhile.
/// Otherwise all that is done again, with what the others have left, up to a hundred times. So it
/// takes two round trips where [`RedisStore`] takes one, and more where many processes take from
/// the same keys. A refusal only reads, and takes one.
///
/// It keeps whole nanoseconds; the server tells the time in microseconds.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::store::RedisStore;
///
/// let store = RedisStore::open("redis://127.0.0.1/").await?.optimistic();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OptimisticRedisStore<C>(RedisStore<C>);

/// The error when others changed the same records each time a batch was about to. Nothing was
/// taken.
///
/// It is the [source](Error::source) of the [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contended;

impl fmt::Display for Contended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "others changed the same limits {ATTEMPTS} times meanwhile")
    }
}

impl Error for Contended {}

impl<C> OptimisticRedisStore<C> {
    pub(super) fn new(store: RedisStore<C>) -> Self {
        Self(store)
    }
}

impl<C: ConnectionLike + Clone> OptimisticRedisStore<C> {
    /// Asks one server.
    async fn call<A>(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError>
    where
        A: Algorithm<State: StoredState>,
    {
        let (mut places, names) = shelf::names(&self.0.namespace, &batch);
        let mut changes = Vec::new();
        let mut answers = Vec::new();
        for _ in 0..ATTEMPTS {
            let reply: Vec<Value> = self.0.run(&SWAP, &names, &changes).await?;
            if reply.is_empty() {
                return Ok(answers);
            }
            let (seconds, microseconds, values) = read(reply).map_err(StoreError::new)?;
            let now = reply::time(seconds, microseconds);
            let shelf = Shelf::<A::State>::new(places, values);
            let mut shelf = shelf.map_err(StoreError::new)?;
            answers = match batch.answer(now, &mut shelf) {
                Ok(answers) => answers,
                Err(never) => match never {},
            };
            if !shelf.is_changed() {
                return Ok(answers);
            }
            changes = shelf.changes(now, batch.now.is_some());
            places = shelf.into_places();
        }
        Err(StoreError::new(Contended))
    }
}

/// The time, and the values of the records.
fn read(reply: Vec<Value>) -> Result<(u64, u64, Vec<Vec<u8>>), RedisError> {
    let mut reply = reply.into_iter();
    let mut time = || redis::from_redis_value(reply.next().unwrap_or(Value::Nil));
    let (seconds, microseconds) = (time()?, time()?);
    let values = reply.map(redis::from_redis_value).collect::<Result<_, _>>()?;
    Ok((seconds, microseconds, values))
}

impl<A, C> Store<A> for OptimisticRedisStore<C>
where
    A: Algorithm<State: StoredState>,
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        match self.0.servers {
            Servers::One => self.call(batch).await,
            Servers::Cluster => for_each_slot(batch, |part| self.call(part)).await,
        }
    }

    fn shard(&self, order: &Order<A>) -> u32 {
        self.0.shard_of(order)
    }

    fn can_group(&self, group: &[Order<A>]) -> Result<(), StoreError> {
        self.0.is_one_step(group)
    }
}
