//! A connection to a cluster that is made anew when it answers nothing.

use super::RedisStore;
use crate::{
    clock::{Alarm, Clock},
    nanos::Nanos,
    store::StoreError,
};
use redis::{
    Cmd, Pipeline, RedisError, RedisFuture, Value, aio::ConnectionLike, cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use std::{
    fmt, future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Poll, ready},
};
use tokio::runtime::Handle;

/// For how long nothing is answered, whoever asks, until the connection is made anew. Where only those keys are
/// asked for whose server is away, that does no harm.
const SILENCE: Nanos = Nanos::new(250_000_000);

/// How long that may take, until it is tried again: longer than the client waits for servers that say nothing.
const LONGEST: Nanos = Nanos::new(30_000_000_000);

impl RedisStore<ClusterManager> {
    /// Opens a store on the cluster that this client knows of, over a connection that is made anew when it
    /// answers nothing.
    ///
    /// As [`on_cluster`](RedisStore::on_cluster), but for what becomes of the connection while a server of
    /// the cluster is away. A [`ClusterConnection`] may come to answer nobody any more then, also about keys
    /// of other servers, until it is made anew. Here that begins within half a second, and takes as long as
    /// connecting: a server that says nothing is waited for as the
    /// [client](redis::cluster::ClusterClientBuilder::connection_timeout) says, twice. Calls that
    /// were made meanwhile end as if all servers were away.
    ///
    /// It is made in the runtime in which this is called, which has to go on.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use redis::cluster::ClusterClient;
    /// use tower_ratelimit::store::RedisStore;
    ///
    /// let servers = ["redis://10.0.0.1/", "redis://10.0.0.2/", "redis://10.0.0.3/"];
    /// let store = RedisStore::open_cluster(ClusterClient::new(servers)?).await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] when no server answers.
    pub async fn open_cluster(client: ClusterClient) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(StoreError::new)?;
        let connection = client.get_async_connection().await.map_err(StoreError::new)?;
        let shared = Shared {
            client,
            connection: Mutex::new(connection),
            answers: AtomicU64::new(0),
            is_watched: AtomicBool::new(false),
            clock: Clock::monotonic(),
            runtime,
        };
        Ok(Self::on_cluster(ClusterManager(Arc::new(shared))))
    }
}

/// A connection to a cluster that is made anew when it answers nothing:
/// what [`RedisStore::open_cluster`] makes.
#[derive(Clone)]
pub struct ClusterManager(Arc<Shared>);

struct Shared {
    client: ClusterClient,
    connection: Mutex<ClusterConnection>,
    /// How many calls were answered, errors included.
    answers: AtomicU64,
    /// Whether a task looks whether there are any.
    is_watched: AtomicBool,
    clock: Clock,
    runtime: Handle,
}

impl ClusterManager {
    /// Asks the connection there is by now. One that is replaced goes on with its calls.
    async fn call<T>(
        &self,
        ask: impl AsyncFnOnce(&mut ClusterConnection) -> Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        self.watch();
        let mut connection = self.0.connection().clone();
        let answer = ask(&mut connection).await;
        self.0.answers.fetch_add(1, Relaxed);
        answer
    }

    /// Sees to it that somebody looks whether anything is answered.
    fn watch(&self) {
        if !self.0.is_watched.swap(true, Relaxed) {
            // Whoever watches asks next, and so sees to it that there is one more as long as all goes well.
            let before = self.0.answers.load(Relaxed);
            self.0.runtime.spawn(Watch(Arc::clone(&self.0)).run(before));
        }
    }
}

/// Looks once whether anything is answered, at the latest until its runtime ends.
struct Watch(Arc<Shared>);

impl Watch {
    /// Makes the connection anew when there are no more answers than before.
    async fn run(self, before: u64) {
        let Shared { client, connection: _, answers, is_watched: _, clock, runtime: _ } = &*self.0;
        within(clock, SILENCE, future::pending::<()>()).await;
        if answers.load(Relaxed) != before {
            return;
        }
        // Where none can be made, the next call has it tried again.
        let made = within(clock, LONGEST, client.get_async_connection()).await;
        // The old one may have found its way meanwhile.
        if let Some(Ok(made)) = made
            && answers.load(Relaxed) == before
        {
            *self.0.connection() = made;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.is_watched.store(false, Relaxed);
    }
}

impl Shared {
    fn connection(&self) -> MutexGuard<'_, ClusterConnection> {
        // Nothing of anybody else's runs under it.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the future comes to within this time.
async fn within<F: Future>(clock: &Clock, span: Nanos, future: F) -> Option<F::Output> {
    let end = clock.now() + span;
    let (mut future, mut alarm) = (pin!(future), Alarm::default());
    future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        while clock.now() < end {
            ready!(alarm.poll(clock, end, context));
        }
        Poll::Ready(None)
    })
    .await
}

impl ConnectionLike for ClusterManager {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let ask =
            async |connection: &mut ClusterConnection| connection.req_packed_command(command).await;
        Box::pin(self.call(ask))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let ask = async move |connection: &mut ClusterConnection| {
            connection.req_packed_commands(pipeline, offset, count).await
        };
        Box::pin(self.call(ask))
    }

    fn get_db(&self) -> i64 {
        self.0.connection().get_db()
    }
}

impl fmt::Debug for ClusterManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterManager").finish_non_exhaustive()
    }
}
