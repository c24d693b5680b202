//! R16: how long the record of an idle key lives in Redis, on whichever server it is.

use super::{ms, opened, until};
use crate::servers::{
    cluster::Cluster,
    redis::{Server, unique},
};
use std::{slice, time::Duration};
use tokio::time::Instant;
use tower_ratelimit::{LeakyBucket, OnFailure, Rate, StoredLimiter, store::Store};

/// How many keys there are: more than there are servers by far.
const KEYS: u32 = 40;

/// Takes two permits of each key, of a bucket that drains one in this time.
async fn take_two<S: Store<LeakyBucket>>(store: S, name: &str, interval: Duration) {
    let bucket = LeakyBucket::new(Rate::new(1, interval).unwrap()).capacity(3).unwrap();
    let limiter = StoredLimiter::builder(name.to_owned(), store, bucket, OnFailure::Refuse);
    let limiter = limiter.deadline(ms(10_000)).unwrap().build().unwrap();
    for key in 0..KEYS {
        limiter.key(&key).try_acquire_many(2).await.unwrap();
    }
}

/// For how many milliseconds each record of this namespace still lives, server by server.
async fn lives(servers: &[Server], namespace: &str) -> Vec<Vec<i64>> {
    let mut lives = Vec::new();
    for server in servers {
        let mut on_server = Vec::new();
        for name in server.ask::<Vec<String>>(&["KEYS", &format!("{namespace}:*")]).await {
            on_server.push(server.ask(&["PTTL", &name]).await);
        }
        lives.push(on_server);
    }
    lives
}

async fn live_until_they_equal_new<S: Store<LeakyBucket>>(
    store: S,
    servers: &[Server],
    namespace: &str,
) {
    let start = Instant::now();
    take_two(store.clone(), "slow", ms(60_000)).await;
    let lives_of_all = lives(servers, namespace).await;
    let passed = i64::try_from(start.elapsed().as_millis()).unwrap() + 1;
    assert!(lives_of_all.iter().all(|lives| !lives.is_empty()), "{lives_of_all:?}");
    assert_eq!(lives_of_all.iter().map(Vec::len).sum::<usize>(), KEYS as usize);
    for life in lives_of_all.into_iter().flatten() {
        // A second longer, or a sixteenth.
        assert!((120_000 - passed..=129_000).contains(&life), "{life} ms, {passed} ms later");
    }
    take_two(store, "fast", ms(10)).await;
    until("those that equal new are gone", async || {
        lives(servers, namespace).await.iter().map(Vec::len).sum::<usize>() == KEYS as usize
    })
    .await;
}

#[tokio::test]
async fn r16_over_redis() {
    let server = Server::start().await;
    let names = [unique(), unique()];
    let servers = slice::from_ref(&server);
    let store = async |name: &str| opened::redis(&server).await.namespace(name);
    live_until_they_equal_new(store(&names[0]).await, servers, &names[0]).await;
    live_until_they_equal_new(store(&names[1]).await.optimistic(), servers, &names[1]).await;
}

#[tokio::test]
async fn r16_over_a_cluster_of_redis() {
    let cluster = Cluster::start().await;
    let names = [unique(), unique()];
    let store = async |name: &str| opened::redis_on(&cluster).await.namespace(name);
    live_until_they_equal_new(store(&names[0]).await, &cluster.servers, &names[0]).await;
    let optimistic = store(&names[1]).await.optimistic();
    live_until_they_equal_new(optimistic, &cluster.servers, &names[1]).await;
}
