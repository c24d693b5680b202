//! Two servers, each a process of its own, share one limit per client in Redis.
//!
//! ```sh
//! cargo run --example redis_shared
//! ```
//!
//! The program starts itself twice, and a private `redis-server` unless `REDIS_URL` says where one
//! is. Alice calls both servers in turn: what one has let through counts at the other, and still
//! does when a server was started anew. When Redis goes away, each server goes on with its share.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, routing::get};
use http::{HeaderName, header::RETRY_AFTER};
use std::{
    env,
    error::Error,
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::net::TcpListener;
use tower_ratelimit::{
    OnFailure, Rate, RateLimitLayer, SlidingWindow, StoredLimiter, http::Header, store::RedisStore,
};

/// How the tests start a private Redis.
#[path = "../tests/suite/servers/mod.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "the tests need more of it")]
mod servers;

const CLIENT: HeaderName = HeaderName::from_static("x-client");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [redis, namespace] => serve(redis, namespace).await,
        _ => show().await,
    }
}

/// A server: an axum route behind a limit that Redis keeps.
async fn serve(redis: &str, namespace: &str) -> Result<(), Box<dyn Error>> {
    let store = RedisStore::open(redis).await?.namespace(namespace);
    // Six a minute for each client, whichever server it calls. While Redis is away, each of the two
    // lets through half of that.
    let limit = SlidingWindow::new(Rate::per_minute(6)?);
    let share = OnFailure::Local(SlidingWindow::new(Rate::per_minute(3)?));
    let limiter = StoredLimiter::builder("calls per client", store, limit, share)
        .deadline(Duration::from_millis(500))?
        .build()?;
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(RateLimitLayer::per_key(Header::new(CLIENT), limiter));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/", listener.local_addr()?);
    // Whoever started it has gone when there is nothing more to read.
    let gone = || io::stdin().read_to_end(&mut Vec::new());
    let ended = tokio::task::spawn_blocking(gone);
    tokio::select! {
        ended = ended => drop(ended??),
        served = async { axum::serve(listener, app).await } => served?,
    }
    Ok(())
}

/// Starts Redis and the servers, and calls them.
async fn show() -> Result<(), Box<dyn Error>> {
    let redis = servers::redis::Server::start().await;
    println!("Redis is at {}", redis.url());
    let namespace = servers::redis::unique();
    let (mut first, second) =
        (Server::start(redis.url(), &namespace)?, Server::start(redis.url(), &namespace)?);

    println!("\nAlice calls both servers in turn; six calls a minute are hers:");
    for expected in [200, 200, 200, 429] {
        first.call("alice", expected).await?;
        second.call("alice", expected).await?;
    }
    println!("\nBob has a limit of his own:");
    second.call("bob", 200).await?;

    drop(first);
    first = Server::start(redis.url(), &namespace)?;
    println!("\nThe first server was started anew, and Alice is not forgotten:");
    first.call("alice", 429).await?;

    if env::var_os("REDIS_URL").is_none() {
        drop(redis);
        println!("\nRedis has gone: each server lets Carol through three times, and Alice not:");
        for expected in [200, 200, 200, 429] {
            second.call("carol", expected).await?;
        }
        second.call("alice", 429).await?;
    }
    Ok(())
}

/// A server in a process of its own, which ends when this is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(redis: &str, namespace: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        command.args([redis, namespace]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut url = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        Ok(Self { process, url: url.trim().to_owned() })
    }

    async fn call(&self, client: &str, expected: u16) -> Result<(), Box<dyn Error>> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let response = http.get(&self.url).header(CLIENT, client).send().await?;
        let process = self.process.id();
        print!("{client:<5} -> process {process}: {}", response.status());
        match response.headers().get(RETRY_AFTER) {
            Some(seconds) => println!(", retry after {} s", seconds.to_str()?),
            None => println!(),
        }
        assert_eq!(response.status(), expected);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
