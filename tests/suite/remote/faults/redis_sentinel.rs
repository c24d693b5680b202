//! A master of Redis that sentinels replace.

use super::super::{
    DEADLINE,
    load::{Answers, under_load},
    opened::redis_by_sentinel,
    until,
};
use crate::servers::{redis::free_port, sentinel::Watched};
use redis::sentinel::{SentinelClient, SentinelServerType::Master};
use tower_ratelimit::{
    OnFailure, Quota, Reason, StoredLimiter, limiter::StoredKey, store::RedisStore,
};

/// A limit of four calls, of which three are made and copied.
async fn one_of_four_left(watched: &Watched) -> StoredKey<Quota, RedisStore> {
    let store = redis_by_sentinel(watched).await;
    let four = Quota::new(4).unwrap();
    let limiter = StoredLimiter::builder("four", store, four, OnFailure::Refuse);
    let limit = limiter.deadline(DEADLINE * 50).unwrap().build().unwrap().key("a");
    limit.try_acquire_many(3).await.unwrap();
    watched.is_copied().await;
    limit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r15_a_failover_by_sentinels_between_calls_is_not_noticed() {
    let watched = Watched::start().await;
    let limit = one_of_four_left(&watched).await;
    watched.fail_over().await;
    limit.try_acquire().await.unwrap();
    assert_eq!(limit.try_acquire().await.unwrap_err().reason(), Reason::Exhausted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_when_sentinels_have_replaced_a_master_that_was_killed() {
    let mut watched = Watched::start().await;
    let limit = one_of_four_left(&watched).await;
    watched.servers[0].crash();
    until("there is another master", async || match limit.try_acquire().await {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal.reason(), Reason::Unavailable);
            false
        }
    })
    .await;
    assert_eq!(watched.master().await, 1);
    assert_eq!(limit.try_acquire().await.unwrap_err().reason(), Reason::Exhausted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_killed_in_the_middle_of_calls_is_replaced() {
    let mut watched = Watched::start().await;
    under_load(redis_by_sentinel(&watched).await, Answers::MayBeForgotten, async |_| {
        watched.servers[0].crash();
        until("the replica is the master", async || watched.master().await == 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_says_nothing_is_replaced() {
    let watched = Watched::start().await;
    under_load(redis_by_sentinel(&watched).await, Answers::MayBeForgotten, async |load| {
        let frozen = watched.servers[0].freeze();
        until("the replica is the master", async || watched.master().await == 1).await;
        load.goes_on().await;
        drop(frozen);
        // It becomes a replica of the other one.
        until("it is a replica", async || {
            let info = watched.servers[0].try_ask(&["INFO", "replication"]).await;
            info.is_ok_and(|info: String| info.contains("role:slave"))
        })
        .await;
        load.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn sentinels_that_are_away_are_an_error() {
    let away = vec![format!("redis://127.0.0.1:{}/", free_port())];
    let client = SentinelClient::build(away, "main", None, Master).unwrap();
    RedisStore::open_sentinel(client).await.unwrap_err();
    // Nor do they know of any other.
    let watched = Watched::start().await;
    let client = SentinelClient::build(vec![watched.url()], "other", None, Master);
    RedisStore::open_sentinel(client.unwrap()).await.unwrap_err();
}
