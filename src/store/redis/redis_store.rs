//! The store.

use super::{
    ManagedConnection, OptimisticRedisStore,
    call::Call,
    reply,
    script::{self, Argument, Script},
    slot::{for_each_slot, one_slot, slot_of},
};
use crate::{
    algorithm::Scripted,
    invalid::Invalid,
    store::{Answer, Batch, Order, Store, StoreError},
};
use redis::{FromRedisValue, aio::ConnectionLike};
use std::{fmt, sync::Arc};

/// The most entries that a log may have: 16 bytes each, in one value.
const LONGEST_LOG: u64 = 1_000_000;

/// How many batches are on their way at the same time.
const AT_ONCE: usize = 2;

/// A [`Store`] in Redis, or Valkey, which passes the same tests, for limits that many processes share: all that
/// use the same server and [namespace](Self::namespace).
///
/// A batch is one call of one script, which decides by the clock of the server. It is told to the
/// server whenever the server does not know it: a restart, a failover and `SCRIPT FLUSH` go
/// unnoticed. A record is one value, which lives until it equals a new one and at most a second
/// longer, or a sixteenth of that time. A refusal only reads.
///
/// It runs any [scripted](Scripted) algorithm (for others see [`optimistic`](Self::optimistic)), on
/// whole microseconds: intervals and periods are rounded up to them. A log, of
/// [`SlidingWindow`](crate::SlidingWindow), [`Serialized`](crate::Serialized) or
/// [`Concurrency`](crate::Concurrency), has an entry of 16 bytes for each call and 1,000,000 at
/// most.
///
/// [`open`](Self::open), [`open_sentinel`](Self::open_sentinel) and [`open_cluster`](RedisStore::open_cluster) make
/// a connection, and make it anew when it is lost. Or it is yours, with all its settings: a
/// `ConnectionManager`, a [`MultiplexedConnection`](redis::aio::MultiplexedConnection), a
/// [`ClusterConnection`](redis::cluster_async::ClusterConnection). One that sends a command again when the
/// reply was lost may take permits twice, never too few. One that waits for replies for less than
/// the [deadline](crate::StoredBuilder::deadline) of the limiter loses what they grant; a
/// [`MultiplexedConnection`](redis::aio::MultiplexedConnection) waits for half a second unless you
/// set it.
///
/// Keys are called `namespace:limit:{key}`, or `namespace:limit:{tag}:rest` where they are
/// [tagged](crate::store::StoreKey::tagged), with percent codes for whatever is not plain text.
///
/// What Redis forgets the limits forget: a restart without persistence, a failover before the last
/// writes were replicated, and a `maxmemory-policy` that throws keys away each let through what was
/// used up before. With the policy `noeviction` a full Redis grants nothing, which is an error.
///
/// Where the clock of the server is set back nothing is granted twice: a key in use is refused until the
/// clock shows again what it showed before. Who cannot wait for that has the key begin anew, by
/// [`reset`](crate::limiter::StoredKey::reset).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{OnFailure, Rate, SlidingWindow, StoredLimiter, store::RedisStore};
///
/// let store = RedisStore::open("redis://127.0.0.1/").await?.namespace("shop");
/// let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// let limiter = StoredLimiter::builder("logins", store, limit, OnFailure::Refuse).build()?;
/// limiter.key("alice").try_acquire().await?;
/// # Ok(())
/// # }
/// ```
///
/// Two servers and one limit: `examples/redis_shared.rs`.
#[derive(Clone)]
pub struct RedisStore<C = ManagedConnection> {
    pub(super) connection: C,
    pub(super) namespace: Arc<str>,
    pub(super) servers: Servers,
}

/// Whether all keys are on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Servers {
    One,
    Cluster,
}

impl<C> RedisStore<C> {
    /// Creates a store on one server, over a connection of your own.
    ///
    /// Where that server comes to only read, as after a failover, calls fail until the connection is made to
    /// another one, which is up to you; [`open`](RedisStore::open) does it by itself.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self { connection, namespace: "limits".into(), servers: Servers::One }
    }

    /// Creates a store on a cluster, over a connection of your own that finds the server of a key.
    ///
    /// Each slot of the cluster is asked by itself, so that a server which is away fails only the limits
    /// that it keeps, as long as the connection answers about the others. A
    /// [`ClusterConnection`](redis::cluster_async::ClusterConnection) of redis 1.8.1 was seen to answer nobody for
    /// many seconds while a server was away: [`open_cluster`](RedisStore::open_cluster) makes it anew then. What
    /// was not answered it asks again by itself, so that a call may be counted more than once. And servers
    /// that miss one for as long as their `cluster-node-timeout` answer nothing themselves, unless
    /// `cluster-require-full-coverage` is `no` or a replica takes its place.
    ///
    /// Several limits can be taken together when they
    /// are on the same key or on keys of the same [tag](crate::store::StoreKey::tagged), and are
    /// [`AcrossSlots`](super::AcrossSlots) otherwise. While a slot moves from server to server they
    /// wait until it has moved, as long as the connection tries again.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use redis::cluster::ClusterClient;
    /// use tower_ratelimit::store::RedisStore;
    ///
    /// let servers = ["redis://10.0.0.1/", "redis://10.0.0.2/", "redis://10.0.0.3/"];
    /// let connection = ClusterClient::new(servers)?.get_async_connection().await?;
    /// let store = RedisStore::on_cluster(connection);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_cluster(connection: C) -> Self {
        Self { servers: Servers::Cluster, ..Self::new(connection) }
    }

    /// Sets the namespace of its records, which their names begin with; `limits` by default.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// Returns a store of the same records for algorithms that are not [scripted](Scripted): your
    /// own.
    #[must_use]
    pub fn optimistic(self) -> OptimisticRedisStore<C> {
        OptimisticRedisStore::new(self)
    }
}

impl<C> RedisStore<C> {
    /// The slot of an order, where there are several.
    pub(super) fn shard_of<A>(&self, order: &Order<A>) -> u32 {
        match self.servers {
            Servers::One => 0,
            Servers::Cluster => slot_of(&order.key).into(),
        }
    }

    /// Whether one server keeps all of these.
    pub(super) fn is_one_step<A>(&self, group: &[Order<A>]) -> Result<(), StoreError> {
        match self.servers {
            Servers::One => Ok(()),
            Servers::Cluster => one_slot(group).map(drop).map_err(StoreError::new),
        }
    }
}

impl<C: ConnectionLike + Clone> RedisStore<C> {
    /// Asks one server.
    async fn call<A: Scripted>(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        let Call { script, keys, arguments } = Call::new(&self.namespace, &batch);
        let reply: Vec<u8> = self.run(script, &keys, &arguments).await?;
        reply::answers(&reply, batch.orders.len()).map_err(StoreError::new)
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[Argument],
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        script.run(&mut connection, keys, arguments).await.map_err(StoreError::new)
    }
}

impl<A, C> Store<A> for RedisStore<C>
where
    A: Scripted,
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        match self.servers {
            Servers::One => self.call(batch).await,
            Servers::Cluster => for_each_slot(batch, |part| self.call(part)).await,
        }
    }

    fn keep_to(&self, algorithm: A) -> Result<A, Invalid> {
        let algorithm = algorithm.in_microseconds()?;
        let parameters = algorithm.parameters();
        let entries = match (algorithm.kind(), &parameters[..]) {
            ("sliding_window", [.., permits, _]) => *permits,
            ("serialized" | "concurrency", [permits, ..]) => *permits,
            (kind, _) if script::knows(kind) => 0,
            (kind, _) => {
                return Err(Invalid::new("kind", kind, "that of an algorithm of this crate"));
            }
        };
        match entries > LONGEST_LOG {
            true => {
                Err(Invalid::new("permits", entries, "1,000,000 or less, as each has an entry"))
            }
            false => Ok(algorithm),
        }
    }

    fn can_group(&self, group: &[Order<A>]) -> Result<(), StoreError> {
        self.is_one_step(group)
    }

    fn shard(&self, order: &Order<A>) -> u32 {
        self.shard_of(order)
    }

    fn batches_at_once(&self) -> usize {
        AT_ONCE
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection: _, namespace, servers } = self;
        f.debug_struct("RedisStore")
            .field("namespace", namespace)
            .field("servers", servers)
            .finish_non_exhaustive()
    }
}
