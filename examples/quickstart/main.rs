//! Every limit of the crate at work, in one table.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! It starts an axum server on a free port of this machine and calls it for four seconds: by one
//! reqwest client for each algorithm, all of them given the same calls, and by clients that the
//! server limits per address and per API key. The table says what became of the calls and draws
//! when they were let go. It ends with an error when any limit let more through than it promises.
#![allow(clippy::print_stdout, reason = "it is there to print a table")]

mod audit;
mod client;
mod server;
mod table;

use client::{CALLS_A_SECOND, FIRST_CALLS, Load, MAX_WAIT};
use std::{error::Error, time::Duration};
use table::Row;
use tokio::time::{Instant, sleep_until};
use tower_ratelimit::{BurstCompensating, Clock, LeakyBucket, Rate, SlidingWindow, Strict};

/// How long the clients keep calling.
const RUN: Duration = Duration::from_secs(4);
/// When the whole program stalls, and for how long.
const STALL: Duration = Duration::from_secs(2);
const STALLED: Duration = Duration::from_millis(200);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One thread, so that a task that blocks it stalls everybody.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = server::start().await?;
    // Proxies are for other machines.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let load = Load { start: Instant::now(), clock: Clock::monotonic(), http, server };
    explain();
    let (clients, servers, ()) = tokio::join!(clients(&load), servers(&load), stall(load.start));
    let (clients, servers) = (clients?, servers?);

    table::print(&clients, &servers);
    for row in clients.iter().chain(&servers) {
        row.verdict()?;
    }
    println!("\nNo limit let more through than it promises, in any window.");
    Ok(())
}

fn explain() {
    println!(
        "Each client gets {FIRST_CALLS} calls at once, then {CALLS_A_SECOND} a second for {RUN:?}. \
         A call waits {MAX_WAIT:?} at most.\n\
         After {STALL:?} the program stalls for {STALLED:?} on purpose, as a busy one would.\n"
    );
}

/// One client for each algorithm, all of them at the same time.
async fn clients(load: &Load) -> Result<Vec<Row>> {
    let rate = Rate::per_second(20)?;
    let bucket = LeakyBucket::new(rate).capacity(10)?;
    let any_window = LeakyBucket::any_window(rate, 5)?;
    let (a, b, c, d, e) = tokio::try_join!(
        client::run("LeakyBucket, burst of 10", rate, bucket, load),
        client::run("Strict", rate, Strict::new(rate), load),
        client::run("BurstCompensating", rate, BurstCompensating::new(rate), load),
        client::run("SlidingWindow", rate, SlidingWindow::new(rate), load),
        client::run("any_window, burst of 5", rate, any_window, load),
    )?;
    Ok(vec![a, b, c, d, e])
}

/// Bursts against the routes that the server limits.
async fn servers(load: &Load) -> Result<Vec<Row>> {
    let [first, second, third] = [500, 1000, 1500].map(Duration::from_millis);
    let (a, b, c) = tokio::try_join!(
        server::burst("per address", server::PER_ADDRESS, None, first, load),
        server::burst("per key: alice", server::PER_KEY, Some("alice"), second, load),
        server::burst("per key: bob", server::PER_KEY, Some("bob"), third, load),
    )?;
    Ok(vec![a, b, c])
}

/// Blocks the only thread. No async program should do that, and many do.
async fn stall(start: Instant) {
    sleep_until(start + STALL).await;
    std::thread::sleep(STALLED);
}
