//! Redis in trouble.

use super::super::{
    DEADLINE,
    load::{Answers, under_load},
    opened::{Redis, redis, redis_at},
    until,
};
use crate::servers::{
    proxy::{self, Cut, Proxy},
    redis::Server,
};
use std::error::Error;
use tokio::time::sleep;
use tokio_test::{assert_pending, task};
use tower_ratelimit::{OnFailure, Quota, Reason, StoredLimiter, store::Store};

/// What was granted is on the disk before it is told.
pub(super) const KEEPS_ALL: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

pub(super) const CUTS: [Cut; 3] = [Cut::BeforeRequest, Cut::BeforeReply, Cut::InReply];

pub(super) async fn way_to(server: &Server) -> (Proxy, String) {
    let proxy = Proxy::start(proxy::Server::Port(server.port())).await;
    let url = format!("redis://127.0.0.1:{}/", proxy.port);
    (proxy, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_killed_and_comes_back_with_all_that_was_granted() {
    let mut server = Server::start_private(&KEEPS_ALL).await;
    under_load(redis(&server).await, Answers::MayBeLost, async |load| {
        server.crash();
        load.fails().await;
        server.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_forgotten_are_not_noticed() {
    let server = Server::start_private(&[]).await;
    under_load(redis(&server).await, Answers::Come, async |load| {
        for _ in 0..20 {
            let () = server.ask(&["SCRIPT", "FLUSH"]).await;
            load.goes_on().await;
        }
        assert_eq!(load.lost(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_answers_nothing_for_a_while() {
    let server = Server::start_private(&[]).await;
    under_load(redis(&server).await, Answers::Come, async |load| {
        let frozen = server.freeze();
        load.fails().await;
        // Also those answers go back that are much too late.
        sleep(DEADLINE * 2).await;
        drop(frozen);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_wherever_a_call_is() {
    let server = Server::start_private(&[]).await;
    let (proxy, url) = way_to(&server).await;
    under_load(redis_at(&url).await, Answers::MayBeLost, async |load| {
        for cut in CUTS.repeat(3) {
            proxy.cut(cut).await;
            load.goes_on().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_wherever_a_call_is_that_is_decided_here() {
    let server = Server::start_private(&[]).await;
    let (proxy, url) = way_to(&server).await;
    under_load(redis_at(&url).await.optimistic(), Answers::MayBeLost, async |load| {
        for cut in CUTS.repeat(3) {
            proxy.cut(cut).await;
            load.goes_on().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_only_reads_refuses_until_it_writes_again() {
    let server = Server::start_private(&[]).await;
    under_load(redis(&server).await, Answers::Come, async |load| {
        // Of nobody, so that it keeps what it has.
        let () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
        load.fails().await;
        let () = server.ask(&["REPLICAOF", "NO", "ONE"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_still_reads_its_records_is_away() {
    let settings = [
        "--enable-debug-command",
        "yes",
        "--key-load-delay",
        "500",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let mut server = Server::start_private(&settings).await;
    let ten = Quota::new(10).unwrap();
    let builder = StoredLimiter::builder("ten", redis(&server).await, ten, OnFailure::Refuse);
    let limit = builder.build().unwrap().key("a");
    limit.try_acquire_many(4).await.unwrap();
    let () = server.ask(&["DEBUG", "POPULATE", "1000"]).await;
    let () = server.ask(&["SAVE"]).await;
    server.crash();
    server.restart();
    let mut causes = String::new();
    until("it is back", async || match limit.try_acquire_many(2).await {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal.reason(), Reason::Unavailable);
            let cause = refusal.source().and_then(Error::source).map(ToString::to_string);
            causes.extend(cause);
            false
        }
    })
    .await;
    assert!(causes.contains("BUSY") || causes.to_lowercase().contains("loading"), "{causes}");
    assert_eq!(limit.peek(0).await.unwrap().remaining, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r15_a_failover_between_calls_is_not_noticed() {
    let at_once = ["--repl-diskless-sync-delay", "0"];
    let old = Server::start_private(&at_once).await;
    let new = Server::start_private(&at_once).await;
    let (proxy, url) = way_to(&old).await;
    let store = redis_at(&url).await;
    let four = Quota::new(4).unwrap();
    let limiter = StoredLimiter::builder("four", store, four, OnFailure::Refuse);
    let limit = limiter.deadline(DEADLINE * 50).unwrap().build().unwrap().key("a");
    limit.try_acquire_many(3).await.unwrap();
    let () = new.ask(&["REPLICAOF", "127.0.0.1", &old.port().to_string()]).await;
    until("all is copied", async || new.ask::<u64>(&["DBSIZE"]).await == 1).await;
    let () = new.ask(&["REPLICAOF", "NO", "ONE"]).await;
    // It does not answer yet, so that the call comes before the connection is there again.
    let frozen = new.freeze();
    proxy.lead_to(proxy::Server::Port(new.port()));
    until("the connection is being made anew", async || proxy.carried() > 0).await;
    let mut call = task::spawn(limit.try_acquire());
    assert_pending!(call.poll());
    drop(frozen);
    call.await.unwrap();
    assert_eq!(limit.try_acquire().await.unwrap_err().reason(), Reason::Exhausted);
}

/// A server becomes another's copy, and keeps its connections, while the store made of this one is in use.
async fn demoted<S: Store<Quota>>(of: impl FnOnce(Redis) -> S) {
    let (old, new) = (Server::start_private(&[]).await, Server::start_private(&[]).await);
    let (proxy, url) = way_to(&old).await;
    let store = of(redis_at(&url).await);
    let ten = Quota::new(10).unwrap();
    let limit = StoredLimiter::builder("ten", store, ten, OnFailure::Refuse).build().unwrap();
    limit.key("a").try_acquire().await.unwrap();
    let () = old.ask(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).await;
    proxy.lead_next_to(proxy::Server::Port(new.port()));
    let refusal = limit.key("a").try_acquire().await.map(drop).unwrap_err();
    assert_eq!(refusal.reason(), Reason::Unavailable);
    until("the other one is asked", async || limit.key("a").try_acquire().await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_only_reads_is_left_for_the_one_at_its_address() {
    demoted(|store| store).await;
    demoted(|store| store.optimistic()).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_looked_for() {
    let server = Server::start_private(&[]).await;
    let store = redis(&server).await;
    let limit = StoredLimiter::builder("one", store, Quota::new(1).unwrap(), OnFailure::Refuse);
    let limit = limit.build().unwrap();
    limit.key("a").try_acquire().await.unwrap();
    // Our sides of connections, as the kernel of Linux shows them: by whom they are held, and what each
    // is waiting for, which is `02` where it is to look whether anybody is there.
    let peer = format!("0100007F:{:04X}", server.port());
    until("it is to be looked for", async || {
        let connections = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        connections.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words[2] == peer && words[3] == "01" && words[5].starts_with("02:")
        })
    })
    .await;
}

#[tokio::test]
async fn a_server_that_knows_only_the_older_protocol_is_asked_by_that() {
    let server = Server::start_private(&["--rename-command", "HELLO", ""]).await;
    let one = Quota::new(1).unwrap();
    let store = redis(&server).await;
    let limit = StoredLimiter::builder("one", store, one, OnFailure::Refuse).build().unwrap();
    limit.key("a").try_acquire().await.unwrap();
    assert_eq!(limit.key("a").try_acquire().await.unwrap_err().reason(), Reason::Exhausted);
}
