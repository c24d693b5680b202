//! A connection that is made anew when it is lost, or answers nothing.

mod signs;
mod keeper;
#[cfg(test)]
mod tests;

pub(super) use signs::Signs;

use crate::clock::Clock;
use keeper::Keeper;
use redis::{
    Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use std::{
    fmt, io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};
use tokio::{runtime::Handle, sync::Notify};

/// Makes a connection, which tells when it is lost if it can.
pub(super) type Connect<C> = Box<dyn Fn(Signs) -> RedisFuture<'static, C> + Send + Sync>;

/// A connection that is made anew when it is lost or answers nothing: what
/// [`RedisStore::open`](crate::store::RedisStore::open),
/// [`open_sentinel`](crate::store::RedisStore::open_sentinel) and
/// [`open_cluster`](crate::store::RedisStore::open_cluster) make. It is named where a store is kept.
///
/// ```
/// use redis::cluster_async::ClusterConnection;
/// use tower_ratelimit::{TokenBucket, StoredLimiter};
/// use tower_ratelimit::store::{ManagedConnection, RedisStore};
///
/// struct Calls {
///     /// `RedisStore` alone is one over a `ManagedConnection` to a single server.
///     limit: StoredLimiter<TokenBucket, RedisStore>,
///     limit_in_cluster: StoredLimiter<TokenBucket, RedisStore<ManagedConnection<ClusterConnection>>>,
/// }
/// ```
#[derive(Clone)]
pub struct ManagedConnection<C = MultiplexedConnection>(Arc<Shared<C>>);

/// What calls and the keeper know of the connection.
struct Shared<C> {
    connect: Connect<C>,
    /// Whether this error says that the connection is lost.
    tells_loss: fn(&RedisError) -> bool,
    tried: Mutex<Tried<C>>,
    /// That another connection was made, or was not.
    is_tried: Notify,
    /// Whether the keeper looks at the connection while it is in use.
    is_watched: AtomicBool,
    /// Whether nobody makes it anew any more.
    is_left: AtomicBool,
    keeper: Arc<Notify>,
    clock: Clock,
}

/// What became of making connections.
struct Tried<C> {
    link: Link<C>,
    failures: u64,
    failure: Option<RedisError>,
}

/// A connection that was made.
#[derive(Clone)]
struct Link<C> {
    connection: C,
    signs: Signs,
}

impl<C: Clone + Send + 'static> ManagedConnection<C> {
    /// Connects, and has somebody look after the connection in this runtime.
    pub(super) async fn new(
        connect: Connect<C>,
        tells_loss: fn(&RedisError) -> bool,
    ) -> RedisResult<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let keeper = Arc::new(Notify::new());
        let signs = Signs::new(&keeper);
        let connection = connect(signs.clone()).await?;
        let link = Link { connection, signs };
        let shared = Arc::new(Shared {
            connect,
            tells_loss,
            tried: Mutex::new(Tried { link, failures: 0, failure: None }),
            is_tried: Notify::new(),
            is_watched: AtomicBool::new(false),
            is_left: AtomicBool::new(false),
            keeper,
            clock: Clock::monotonic(),
        });
        runtime.spawn(Keeper::new(&shared).keep());
        Ok(Self(shared))
    }

    /// Asks over the connection there is by now. One that is replaced goes on with its calls.
    async fn call<T>(&self, ask: impl AsyncFnOnce(&mut C) -> RedisResult<T>) -> RedisResult<T> {
        let Link { mut connection, signs } = self.0.link_in_use().await?;
        let call = signs.call();
        self.0.watch();
        let answer = ask(&mut connection).await;
        match answer.as_ref().is_err_and(self.0.tells_loss) {
            true => signs.lose(),
            false => call.answered(),
        }
        answer
    }
}

impl<C> Shared<C> {
    fn tried(&self) -> MutexGuard<'_, Tried<C>> {
        // Nothing of anybody else's runs under it, but for `clone` of a connection.
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signs(&self) -> Signs {
        self.tried().link.signs.clone()
    }

    fn replace(&self, link: Link<C>) {
        let old = mem::replace(&mut self.tried().link, link);
        self.is_tried.notify_waiters();
        drop(old);
    }

    /// No other connection could be made.
    fn fail(&self, error: RedisError) {
        let mut tried = self.tried();
        tried.failures += 1;
        tried.failure = Some(error);
        drop(tried);
        self.is_tried.notify_waiters();
    }

    /// Has the keeper look whether calls are answered. They are counted already.
    fn watch(&self) {
        if !self.is_watched.load(SeqCst) && !self.is_watched.swap(true, SeqCst) {
            self.keeper.notify_one();
        }
    }

    /// The keeper looks no more, unless somebody has come meanwhile who saw it look.
    fn keeps_watching(&self, signs: &Signs) -> bool {
        self.is_watched.store(false, SeqCst);
        let is_in_use = signs.is_in_use();
        if is_in_use {
            self.is_watched.store(true, SeqCst);
        }
        is_in_use
    }

    /// Those that wait for another connection are to go on with the one there is.
    fn leave(&self) {
        self.is_left.store(true, SeqCst);
        self.is_tried.notify_waiters();
    }
}

impl<C: Clone> Shared<C> {
    /// The link there is, or the next one where that is lost.
    ///
    /// # Errors
    ///
    /// Why there is none.
    async fn link_in_use(&self) -> RedisResult<Link<C>> {
        let mut failures = None;
        loop {
            let is_tried = self.is_tried.notified();
            {
                let tried = self.tried();
                if !tried.link.signs.is_lost() || self.is_left.load(SeqCst) {
                    return Ok(tried.link.clone());
                }
                let before = *failures.get_or_insert(tried.failures);
                if let Some(failure) = &tried.failure
                    && tried.failures > before
                {
                    return Err(failure.clone());
                }
            }
            is_tried.await;
        }
    }
}

impl<C> Drop for Shared<C> {
    fn drop(&mut self) {
        // The keeper finds that nobody is left.
        self.keeper.notify_one();
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> ConnectionLike for ManagedConnection<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let ask = async |connection: &mut C| {
            connection.req_packed_command(command).await.and_then(Value::extract_error)
        };
        Box::pin(self.call(ask))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let ask = async move |connection: &mut C| {
            connection.req_packed_commands(pipeline, offset, count).await
        };
        Box::pin(self.call(ask))
    }

    fn get_db(&self) -> i64 {
        self.0.tried().link.connection.get_db()
    }
}

impl<C> fmt::Debug for ManagedConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedConnection").finish_non_exhaustive()
    }
}
