//! A cluster of Redis one of whose servers is away.

use super::{
    super::{
        DEADLINE,
        line::in_line,
        load::{Answers, Load, under_load},
        ms,
        opened::{RedisCluster, redis_on},
        until,
    },
    policies::{hold, hold_frozen},
    redis::KEEPS_ALL,
};
use crate::servers::{cluster::Cluster, redis::Server};
use std::error::Error;
use tower_ratelimit::{OnFailure, Quota, Reason, StoredLimiter};

async fn server_in_use(cluster: &Cluster) -> usize {
    cluster.place_of(&cluster.slot_in_use().await).await
}

/// The server that keeps what is in use.
async fn is_killed_for_a_while(cluster: &mut Cluster, load: &Load) {
    let place = server_in_use(cluster).await;
    cluster.servers[place].crash();
    load.fails().await;
    cluster.servers[place].restart();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_answers_nothing_for_a_while() {
    let cluster = Cluster::start().await;
    under_load(redis_on(&cluster).await, Answers::Come, async |load| {
        let frozen = cluster.servers[server_in_use(&cluster).await].freeze();
        load.fails().await;
        drop(frozen);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_is_killed_and_comes_back_with_all_that_was_granted() {
    let mut cluster = Cluster::start_with(&KEEPS_ALL).await;
    under_load(redis_on(&cluster).await, Answers::MayBeRepeated, async |load| {
        is_killed_for_a_while(&mut cluster, load).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_is_killed_while_callers_wait_for_their_turns() {
    let mut cluster = Cluster::start_with(&KEEPS_ALL).await;
    in_line(redis_on(&cluster).await, async |load| {
        is_killed_for_a_while(&mut cluster, load).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_answers_nothing_ends_in_the_policy() {
    let cluster = Cluster::start().await;
    hold_frozen(redis_on(&cluster).await, async || {
        cluster.servers[server_in_use(&cluster).await].freeze()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_is_killed_ends_in_the_policy() {
    let mut cluster = Cluster::start_with(&KEEPS_ALL).await;
    hold(redis_on(&cluster).await, async |policies| {
        let place = server_in_use(&cluster).await;
        cluster.servers[place].crash();
        policies.hold().await;
        cluster.servers[place].restart();
    })
    .await;
}

/// A limiter over a cluster, with many keys on each of its servers.
struct Many {
    limiter: StoredLimiter<Quota, RedisCluster>,
    /// How many of them the first server keeps.
    kept: usize,
}

impl Many {
    async fn new(cluster: &Cluster) -> Self {
        let quota = Quota::new(10_000).unwrap();
        let store = redis_on(cluster).await;
        let limiter = StoredLimiter::builder("many", store, quota, OnFailure::Refuse);
        let limiter = limiter.deadline(ms(500)).unwrap().breaker(3, ms(500)).unwrap();
        let many = Self { limiter: limiter.build().unwrap(), kept: 0 };
        assert_eq!(many.refused().await, 0);
        let kept = cluster.servers[0].ask::<Vec<String>>(&["KEYS", "*"]).await.len();
        assert!((1..60).contains(&kept), "{kept}");
        Self { kept, ..many }
    }

    /// Asks for all at the same time, so that they would travel together; how many are refused because of the
    /// store.
    async fn refused(&self) -> usize {
        let calls = (0..60_u32).map(|key| {
            let key = self.limiter.key(&key);
            tokio::spawn(async move { key.try_acquire().await.map(drop) })
        });
        let mut refused = 0;
        for call in calls.collect::<Vec<_>>() {
            if let Err(refusal) = call.await.unwrap() {
                assert_eq!(refusal.reason(), Reason::Unavailable, "{:?}", refusal.source());
                refused += 1;
            }
        }
        refused
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_says_nothing_takes_only_its_own_keys_with_it() {
    let cluster = Cluster::start().await;
    let many = Many::new(&cluster).await;
    let frozen = cluster.servers[0].freeze();
    for _ in 0..3 {
        assert_eq!(many.refused().await, many.kept);
    }
    drop(frozen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_is_killed_takes_only_its_own_keys_with_it() {
    let mut cluster = Cluster::start().await;
    let many = Many::new(&cluster).await;
    cluster.servers[0].crash();
    // What connects to clusters comes to answer nothing at all now and then, which takes a moment to be seen.
    let mut good = 0;
    until("all other keys are granted again and again", async || {
        good += u32::from(many.refused().await == many.kept);
        good == 6
    })
    .await;
    cluster.servers[0].restart();
    until("all keys are granted", async || many.refused().await == 0).await;
}

/// Ends the server that keeps what is in use, and has its replica go on in its place.
async fn fail_over(cluster: &mut Cluster, place: usize, replica: &Server) {
    cluster.servers[place].crash();
    // At once, and not only when the others have noticed.
    let () = replica.ask(&["CLUSTER", "FAILOVER", "TAKEOVER"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r15_a_replica_that_is_promoted_goes_on_with_what_was_copied() {
    let mut cluster = Cluster::start().await;
    let four = Quota::new(4).unwrap();
    let store = redis_on(&cluster).await;
    let limiter = StoredLimiter::builder("four", store, four, OnFailure::Refuse);
    let limit = limiter.deadline(DEADLINE * 50).unwrap().build().unwrap().key("a");
    limit.try_acquire_many(3).await.unwrap();
    let place = server_in_use(&cluster).await;
    let replica = cluster.replica_of(place).await;
    until("all is copied", async || replica.ask::<u64>(&["DBSIZE"]).await == 1).await;
    fail_over(&mut cluster, place, &replica).await;
    // It is not noticed.
    limit.try_acquire().await.unwrap();
    assert_eq!(limit.try_acquire().await.unwrap_err().reason(), Reason::Exhausted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_promoted_in_the_middle_of_calls() {
    let mut cluster = Cluster::start().await;
    under_load(redis_on(&cluster).await, Answers::MayBeForgotten, async |load| {
        let place = server_in_use(&cluster).await;
        let replica = cluster.replica_of(place).await;
        load.goes_on().await;
        fail_over(&mut cluster, place, &replica).await;
        load.goes_on().await;
        // Until there is nobody to ask.
        cluster.servers.push(replica);
    })
    .await;
}
