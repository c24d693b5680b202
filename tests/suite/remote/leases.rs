//! Permits that are held until calls end, and those who hold them for too long.

use super::{
    DEADLINE, opened,
    processes::{self, HELD, Place, Way, limiter},
    until,
};
use crate::servers::{self, cluster::Cluster, folder::Folder, redis::Server};
use tokio::time::{Instant, sleep, timeout};
use tower_ratelimit::{
    Concurrency, Reason,
    store::{PostgresStore, SqliteStore, Store},
};

/// The lease of a permit here.
const LEASE: std::time::Duration = DEADLINE;

fn at_once(calls: u32) -> Concurrency {
    Concurrency::new(calls).unwrap().lease(LEASE).unwrap()
}

/// R22 and R23 over this store.
async fn are_kept<S: Store<Concurrency>>(store: S) {
    renewed_or_lost(store.clone()).await;
    of_another_capacity(store).await;
}

async fn renewed_or_lost<S: Store<Concurrency>>(store: S) {
    let (one, other) = (limiter(store.clone(), at_once(1)), limiter(store, at_once(1)));
    let (one, other) = (one.key("renewed"), other.key("renewed"));
    let start = Instant::now();
    let mut permit = one.acquire().await.unwrap();
    // Before the store last said that it is kept.
    let mut asked = start;
    // It works for longer than its lease, and says so.
    while start.elapsed() < LEASE * 3 {
        sleep(LEASE / 10).await;
        let asks = Instant::now();
        if permit.renew().await.is_err() {
            // Only a machine that was busy for a whole lease has lost it.
            assert!(asked.elapsed() >= LEASE, "lost {:?} after it was kept", asked.elapsed());
            permit = one.acquire().await.unwrap();
        }
        asked = asks;
        let renewed = Instant::now();
        let refused = other.try_acquire().await;
        assert!(refused.is_err() || renewed.elapsed() >= LEASE, "only one at a time");
    }
    // From here on it does not.
    let second = other.acquire().await.unwrap();
    permit.renew().await.unwrap_err();
    drop(permit);
    // Who has lost it gives back nothing that is somebody else's.
    let since = Instant::now();
    assert!(one.try_acquire().await.is_err() || since.elapsed() >= LEASE / 2);
    drop(second);
    until("the permit is back", async || one.try_acquire().await.is_ok()).await;
}

async fn of_another_capacity<S: Store<Concurrency>>(store: S) {
    let long = |calls| Concurrency::new(calls).unwrap().lease(LEASE * 1000).unwrap();
    let (narrow, wide) = (limiter(store.clone(), long(1)), limiter(store, long(3)));
    let (narrow, wide) = (narrow.key("capacity"), wide.key("capacity"));
    let first = narrow.try_acquire().await.unwrap();
    let others = (wide.try_acquire().await.unwrap(), wide.try_acquire().await.unwrap());
    assert_eq!(wide.try_acquire().await.unwrap_err().reason(), Reason::UsedUp);
    // Those who are there stay, and nobody comes before there is room.
    assert_eq!(narrow.try_acquire().await.unwrap_err().reason(), Reason::UsedUp);
    drop(others);
    until("they have left", async || wide.peek(0).await.unwrap().remaining == 2).await;
    assert_eq!(narrow.try_acquire().await.unwrap_err().reason(), Reason::UsedUp);
    drop(first);
    until("there is room", async || narrow.try_acquire().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r22_r23_over_sqlite() {
    let folder = Folder::new();
    are_kept(folder.open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r22_r23_over_redis() {
    let server = Server::start().await;
    are_kept(opened::redis(&server).await).await;
    are_kept(opened::redis(&server).await.optimistic()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r22_r23_over_a_cluster_of_redis() {
    let cluster = Cluster::start().await;
    are_kept(opened::redis_on(&cluster).await).await;
    are_kept(opened::redis_on(&cluster).await.optimistic()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r22_r23_over_postgres() {
    let url = servers::postgres::url();
    are_kept(opened::postgres(&url).await).await;
    are_kept(opened::postgres(&url).await.decided_here()).await;
}

/// R24: a process that holds a permit is killed, and somebody else goes on.
async fn outlive_their_holder<S: Store<Concurrency>>(place: Place, store: S) {
    let two = Concurrency::new(2).unwrap().lease(HELD).unwrap();
    let limit = limiter(store, two).key("a");
    let mut child = place.start("hold");
    let start = Instant::now();
    child.begin();
    child.says("granted");
    let mut busy = limit.acquire().await.unwrap();
    drop(child);
    let comes_back = async {
        loop {
            // What is dead is not renewed, and this is.
            busy.renew().await.unwrap();
            match limit.try_acquire().await {
                Ok(permit) => break permit,
                Err(refusal) => assert_eq!(refusal.reason(), Reason::UsedUp),
            }
            sleep(HELD / 20).await;
        }
    };
    let next = timeout(HELD * 10, comes_back).await.expect("it comes back when its lease ends");
    // The clock of a server may be a little faster than ours.
    assert!(start.elapsed() >= HELD * 9 / 10, "it came back after {:?}", start.elapsed());
    busy.renew().await.unwrap();
    assert_eq!(limit.try_acquire().await.unwrap_err().reason(), Reason::UsedUp);
    drop((busy, next));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r24_over_sqlite() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).unwrap();
    outlive_their_holder(Place::sqlite(&folder), store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r24_over_redis() {
    let server = Server::start().await;
    let place = Place::redis(&server, Way::There);
    let Place::Redis { url, namespace, .. } = &place else { panic!("{place:?}") };
    let store = processes::redis(url, namespace).await;
    outlive_their_holder(place, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r24_over_redis_where_it_is_decided_here() {
    let server = Server::start().await;
    let place = Place::redis(&server, Way::Here);
    let Place::Redis { url, namespace, .. } = &place else { panic!("{place:?}") };
    let store = processes::redis(url, namespace).await.optimistic();
    outlive_their_holder(place, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r24_over_a_cluster_of_redis() {
    let cluster = Cluster::start().await;
    let place = Place::cluster(&cluster, Way::There);
    let Place::Cluster { urls, namespace, .. } = &place else { panic!("{place:?}") };
    let store = processes::cluster(urls, namespace).await;
    outlive_their_holder(place, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r24_over_postgres() {
    let place = Place::postgres("remote_killed").await;
    let Place::Postgres { url, table } = place.clone() else { panic!("{place:?}") };
    let store = PostgresStore::new(opened::pool(&url, 4)).table(&table).unwrap();
    outlive_their_holder(place, store).await;
}
