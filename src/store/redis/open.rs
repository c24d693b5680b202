//! Stores over connections that are made here, and made anew.

use super::{
    ManagedConnection, RedisStore,
    managed::{Connect, Signs},
    silence,
};
use crate::store::StoreError;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisError, RedisResult,
    ServerErrorKind::{MasterDown, NoPerm, ReadOnly, ResponseError},
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::SentinelClient,
};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::Mutex;

impl RedisStore {
    /// Opens a store on the server at this address, `redis://…`, over a connection that is made
    /// anew whenever it is lost: at once and before the next call where the server speaks the
    /// protocol of Redis 6 or later, otherwise after the first call that fails. Where that fails it is tried
    /// again after a quarter of a second, later after a second, and calls end with the error of the next try.
    ///
    /// It is lost, too, when the server has confirmed nothing for some seconds (on Linux, unless the address has
    /// settings for that; elsewhere as soon as the system finds out), and when the server says that it only
    /// reads: whoever is at the address by then is asked, which after a failover is another server. When no
    /// call is answered for half a second another connection is tried, too.
    ///
    /// For TLS turn on a feature of the `redis` crate, such as `tokio-rustls-comp` (which needs one of the
    /// cryptography providers of `rustls`), and say `rediss://…`; where certificates of your own are to be used,
    /// the [`ConnectionInfo`] of a [`Client`] that was built with them.
    ///
    /// It is made, also later, in the runtime in which this is called, which has to go on.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), tower_ratelimit::store::StoreError> {
    /// use tower_ratelimit::store::RedisStore;
    ///
    /// let store = RedisStore::open("redis://10.0.0.1/").await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the address is malformed, or no server answers there.
    pub async fn open(address: impl IntoConnectionInfo) -> Result<Self, StoreError> {
        let address = address.into_connection_info().map_err(StoreError::new)?;
        Self::over(Box::new(move |signs| Box::pin(connect(address.clone(), signs)))).await
    }

    /// Opens a store on the master that the sentinels of this client name, and on whichever they name after a
    /// failover.
    ///
    /// As [`open`](Self::open), but that they are asked each time the connection is made: when it is lost, which
    /// sentinels see to after a failover; when the server says that it only reads; and when it
    /// answers nothing. So a failover between calls is not noticed, and calls that come while there is no
    /// master fail.
    ///
    /// A master that is replaced before it has copied its last writes takes with it what they granted. So does one
    /// that is there and is replaced by `SENTINEL FAILOVER`: it goes on to grant until they make it
    /// a replica, some ten seconds later.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use redis::sentinel::{SentinelClient, SentinelServerType::Master};
    /// use tower_ratelimit::store::RedisStore;
    ///
    /// let sentinels = vec!["redis://10.0.0.1:26379/", "redis://10.0.0.2:26379/"];
    /// let client = SentinelClient::build(sentinels, "mymaster".to_owned(), None, Master)?;
    /// let store = RedisStore::open_sentinel(client).await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] when no sentinel answers, or the master they name does not.
    pub async fn open_sentinel(client: SentinelClient) -> Result<Self, StoreError> {
        let client = Arc::new(Mutex::new(client));
        Self::over(Box::new(move |signs| {
            let client = Arc::clone(&client);
            Box::pin(async move {
                let master = client.lock().await.async_get_client().await?;
                connect(master.get_connection_info().clone(), signs).await
            })
        }))
        .await
    }

    async fn over(connect: Connect<MultiplexedConnection>) -> Result<Self, StoreError> {
        let connection = ManagedConnection::new(connect, is_of_no_use).await;
        connection.map(Self::new).map_err(StoreError::new)
    }
}

impl RedisStore<ManagedConnection<ClusterConnection>> {
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
    /// It is made, also later, in the runtime in which this is called, which has to go on.
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
        let connect: Connect<_> = Box::new(move |_| {
            let client = client.clone();
            Box::pin(async move { client.get_async_connection().await })
        });
        // It looks after the connections to its servers by itself, and tells of each that is lost.
        let connection = ManagedConnection::new(connect, |_| false).await;
        connection.map(Self::on_cluster).map_err(StoreError::new)
    }
}

/// Whether another connection is needed, to whoever is there then.
fn is_of_no_use(error: &RedisError) -> bool {
    let is_replica = match error.kind() {
        ErrorKind::Server(ReadOnly | MasterDown) => true,
        // Of a script, as Redis up to 6.2 says it.
        ErrorKind::Server(ResponseError) => {
            error.detail().is_some_and(|detail| detail.contains("-READONLY"))
        }
        _ => false,
    };
    is_replica || error.is_unrecoverable_error() || error.is_io_error()
}

/// Whether somebody is there who only speaks the older protocol.
fn is_of_old(error: &RedisError) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::RESP3NotSupported | ErrorKind::Server(NoPerm | ResponseError))
        || error.code() == Some("NOPROTO")
}

/// Connects to one server, by the protocol by which a connection tells that it was lost if the server speaks it.
async fn connect(address: ConnectionInfo, signs: Signs) -> RedisResult<MultiplexedConnection> {
    // A batch leaves at once, and not when the one before it was confirmed.
    let settings = silence::bounded(address.tcp_settings().clone()).set_nodelay(true);
    let address = address.set_tcp_settings(settings);
    // Whoever asks has a deadline, and gives back what is granted later than that. What the connection
    // does not wait for would be lost.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let newer = address.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let newer = Client::open(address.clone().set_redis_settings(newer))?;
    let tells = config.clone().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection {
            signs.lose();
        }
        Ok::<_, Infallible>(())
    });
    match newer.get_multiplexed_async_connection_with_config(&tells).await {
        Err(error) if is_of_old(&error) => {
            Client::open(address)?.get_multiplexed_async_connection_with_config(&config).await
        }
        made => made,
    }
}
