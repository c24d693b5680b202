//! R28: what a limiter has of a store is released with it, once.

use super::{DEADLINE, ms, opened, until};
use crate::servers::{self, cluster::Cluster, folder::Folder, redis::Server};
use std::{fs, future::IntoFuture};
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    Concurrency, OnFailure, Reason, StoredLimiter,
    store::{PostgresStore, Store},
};

/// Uses a limiter with others in line, and closes it twice.
async fn use_and_close<S: Store<Concurrency>>(store: S) {
    let one = Concurrency::new(1).unwrap().lease(ms(10_000)).unwrap();
    let limiter = StoredLimiter::builder("one", store, one, OnFailure::Refuse);
    let limiter = limiter.deadline(DEADLINE * 50).unwrap().build().unwrap();
    let permit = limiter.key("a").acquire().await.unwrap();
    let mut waits = [(); 3].map(|()| task::spawn(limiter.key("a").acquire().into_future()));
    // A store that refuses says when the lease ends; a try that is refused because of who stands in
    // line does not ask it.
    until("the first stands in line", async || {
        assert_pending!(waits[0].poll());
        limiter.key("a").try_acquire().await.unwrap_err().retry_after().is_none()
    })
    .await;
    // The others get in line behind it.
    for call in &mut waits[1..] {
        assert_pending!(call.poll());
    }
    limiter.close();
    limiter.close();
    for call in waits {
        assert_eq!(call.await.unwrap_err().reason(), Reason::Closed);
    }
    drop(permit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(target_os = "linux")]
async fn the_file_of_sqlite_is_closed() {
    let folder = Folder::new();
    let is_open = || {
        let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let mut files = files.filter_map(|file| fs::read_link(file.path()).ok());
        files.any(|file| file.starts_with(&folder.0))
    };
    let store = folder.open();
    assert!(is_open());
    use_and_close(store).await;
    until("the file is closed", async || !is_open()).await;
    // What was given back last is in the file.
    let one = Concurrency::new(1).unwrap().lease(ms(10_000)).unwrap();
    let again = StoredLimiter::builder("one", folder.open(), one, OnFailure::Refuse);
    again.build().unwrap().key("a").try_acquire().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_to_redis_is_closed() {
    let server = Server::start_private(&[]).await;
    let connections = async || server.ask::<String>(&["CLIENT", "LIST"]).await.lines().count();
    let store = opened::redis(&server).await;
    // That of who asks is one of them.
    until("it is connected", async || connections().await == 2).await;
    use_and_close(store).await;
    until("it is closed", async || connections().await == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connections_to_a_cluster_of_redis_are_closed() {
    let cluster = Cluster::start().await;
    let connections = async || {
        let mut counts = Vec::new();
        for server in &cluster.servers {
            // Those that clients made, and not other servers; one of them is that of who asks.
            let list: String = server.ask(&["CLIENT", "LIST", "TYPE", "normal"]).await;
            counts.push(list.lines().count() - 1);
        }
        counts
    };
    let store = opened::redis_on(&cluster).await;
    until("it is connected", async || connections().await.iter().sum::<usize>() > 0).await;
    use_and_close(store).await;
    until("all are closed", async || connections().await == [0; 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connections_of_a_pool_go_back_to_it() {
    let pool = opened::pool(&servers::postgres::url(), 3);
    let store: PostgresStore = opened::made(pool.clone(), "remote_released").await;
    use_and_close(store).await;
    let is_back = async || {
        let status = pool.status();
        status.size > 0 && status.available == status.size && status.waiting == 0
    };
    until("all are back", is_back).await;
    pool.get().await.unwrap().query_typed("SELECT 1", &[]).await.unwrap();
}
