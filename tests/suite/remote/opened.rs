//! The stores as these tests open them.

use crate::servers::{
    cluster::Cluster,
    redis::{Server, unique},
    sentinel::Watched,
};
use deadpool_postgres::{Manager, Pool, Runtime};
use redis::{cluster::ClusterClient, cluster_async::ClusterConnection};
use std::time::Duration;
use tokio_postgres::NoTls;
use tower_ratelimit::store::{ManagedConnection, PostgresStore, RedisStore};

pub(super) type Redis = RedisStore;
pub(super) type RedisCluster = RedisStore<ManagedConnection<ClusterConnection>>;

/// Records of its own on this server.
pub(super) async fn redis(server: &Server) -> Redis {
    redis_at(server.url()).await
}

pub(super) async fn redis_at(url: &str) -> Redis {
    RedisStore::open(url).await.unwrap().namespace(unique())
}

/// Records of its own on this cluster.
pub(super) async fn redis_on(cluster: &Cluster) -> RedisCluster {
    redis_by(cluster.client()).await
}

pub(super) async fn redis_by(client: ClusterClient) -> RedisCluster {
    RedisStore::open_cluster(client).await.unwrap().namespace(unique())
}

/// Records of its own on the master that the sentinel names.
pub(super) async fn redis_by_sentinel(watched: &Watched) -> Redis {
    RedisStore::open_sentinel(watched.client()).await.unwrap().namespace(unique())
}

/// A pool of this many connections to this server.
pub(super) fn pool(url: &str, connections: usize) -> Pool {
    let pool = Pool::builder(Manager::new(url.parse().unwrap(), NoTls)).max_size(connections);
    pool.runtime(Runtime::Tokio1).wait_timeout(Some(Duration::from_secs(10))).build().unwrap()
}

/// A table of its own that outlives a crash.
pub(super) async fn postgres(url: &str) -> PostgresStore {
    let name = unique().replace("tower-ratelimit-", "remote_").replace('-', "_");
    made(pool(url, 8), &name).await
}

/// A table of this name, empty.
pub(super) async fn made(pool: Pool, name: &str) -> PostgresStore {
    let client = pool.get().await.unwrap();
    client.batch_execute(&format!("DROP TABLE IF EXISTS {name} CASCADE")).await.unwrap();
    drop(client);
    let store = PostgresStore::new(pool).table(name).unwrap().logged();
    store.create_tables().await.unwrap();
    store
}
