//! R14: the clock of the server counts, and not those of its clients.

use super::opened;
use crate::servers::{self, cluster::Cluster, redis::Server};
use std::time::Duration;
use tower_ratelimit::{
    ManualClock, OnFailure, Rate, Reason, SlidingWindow, StoredLimiter, store::Store,
};

/// Two clients whose clocks are hours apart share three calls an hour.
async fn share_three_an_hour<S: Store<SlidingWindow>>(store: S) {
    let hour = Duration::from_secs(3600);
    let clients = [0, 2].map(|hours| {
        let clock = ManualClock::new();
        clock.advance(hour * hours);
        let three = SlidingWindow::new(Rate::per_hour(3).unwrap());
        let builder = StoredLimiter::builder("three", store.clone(), three, OnFailure::Refuse);
        builder.clock(clock).build().unwrap().key("a")
    });
    let mut granted = 0;
    for client in clients.iter().cycle().take(8) {
        match client.try_acquire().await {
            Ok(_) => granted += 1,
            Err(refusal) => {
                assert_eq!(refusal.reason(), Reason::UsedUp);
                let wait = refusal.retry_after().unwrap();
                assert!(wait <= hour && wait > hour - hour / 60, "{wait:?}");
            }
        }
    }
    assert_eq!(granted, 3);
}

#[tokio::test]
async fn r14_over_redis() {
    let server = Server::start().await;
    share_three_an_hour(opened::redis(&server).await).await;
    share_three_an_hour(opened::redis(&server).await.optimistic()).await;
}

#[tokio::test]
async fn r14_over_a_cluster_of_redis() {
    let cluster = Cluster::start().await;
    share_three_an_hour(opened::redis_on(&cluster).await).await;
    share_three_an_hour(opened::redis_on(&cluster).await.optimistic()).await;
}

#[tokio::test]
async fn r14_over_postgres() {
    let url = servers::postgres::url();
    share_three_an_hour(opened::postgres(&url).await).await;
    share_three_an_hour(opened::postgres(&url).await.decided_here()).await;
}
