//! Redis in trouble, step by step of a connection, and callers who wait for their turns meanwhile.

use super::{
    super::{
        DEADLINE,
        line::in_line,
        load::{Answers, Load, under_load},
        opened::{redis, redis_at},
    },
    policies::hold,
    redis::{CUTS, KEEPS_ALL, way_to},
};
use crate::servers::{
    proxy::{self, Proxy},
    redis::Server,
};
use futures_util::future::join;
use tokio::time::sleep;

/// Cuts the connection at each step there is from when it is made to the answer of a script that the server
/// does not know yet.
async fn cut_each_step(server: &Server, proxy: &Proxy, load: &Load) {
    let home = || proxy::Server::Port(server.port());
    for cut in CUTS {
        for words in [&b"HELLO"[..], b"EVALSHA"] {
            // The one there is is cut first, between calls or in the middle of one.
            join(proxy.cut_at(cut, words), async { proxy.lead_to(home()) }).await;
            load.goes_on().await;
        }
        // Where it is followed by another request it is not answered alone, and is not cut.
        let forget = async {
            loop {
                server.ask::<()>(&["SCRIPT", "FLUSH"]).await;
                sleep(DEADLINE).await;
            }
        };
        tokio::select! {
            () = proxy.cut_at(cut, b"\r\nEVAL\r\n") => {}
            () = forget => {}
        }
        load.goes_on().await;
    }
    // Nobody is there for a while.
    proxy.lead_to(proxy::Server::Nowhere);
    load.fails().await;
    proxy.lead_to(home());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_at_each_step_of_being_made() {
    let server = Server::start_private(&[]).await;
    let (proxy, url) = way_to(&server).await;
    under_load(redis_at(&url).await, Answers::MayBeLost, async |load| {
        cut_each_step(&server, &proxy, load).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_at_each_step_while_callers_wait_for_their_turns() {
    let server = Server::start_private(&[]).await;
    let (proxy, url) = way_to(&server).await;
    in_line(redis_at(&url).await, async |load| cut_each_step(&server, &proxy, load).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_killed_while_callers_wait_for_their_turns() {
    let mut server = Server::start_private(&KEEPS_ALL).await;
    in_line(redis(&server).await, async |load| {
        server.crash();
        load.fails().await;
        server.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_says_nothing_while_callers_wait_for_their_turns() {
    let server = Server::start_private(&[]).await;
    in_line(redis(&server).await.optimistic(), async |load| {
        let frozen = server.freeze();
        load.fails().await;
        drop(frozen);
    })
    .await;
    in_line(redis(&server).await, async |load| {
        let frozen = server.freeze();
        load.fails().await;
        drop(frozen);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_only_reads_while_callers_wait_for_their_turns() {
    let server = Server::start_private(&[]).await;
    in_line(redis(&server).await, async |load| {
        let () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
        load.fails().await;
        let () = server.ask(&["REPLICAOF", "NO", "ONE"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_ends_in_the_policy() {
    let mut server = Server::start_private(&KEEPS_ALL).await;
    hold(redis(&server).await, async |policies| {
        server.crash();
        policies.hold().await;
        server.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_turns_all_away_ends_in_the_policy() {
    let server = Server::start_private(&[]).await;
    let (proxy, url) = way_to(&server).await;
    hold(redis_at(&url).await, async |policies| {
        proxy.lead_to(proxy::Server::Nowhere);
        policies.hold().await;
        proxy.lead_to(proxy::Server::Port(server.port()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_only_reads_ends_in_the_policy() {
    let server = Server::start_private(&[]).await;
    hold(redis(&server).await, async |policies| {
        let () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
        policies.hold().await;
        let () = server.ask(&["REPLICAOF", "NO", "ONE"]).await;
    })
    .await;
}
