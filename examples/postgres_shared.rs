//! Two workers, each a process of its own, share one limit in Postgres and wait in one line.
//!
//! ```sh
//! cargo run --example postgres_shared
//! ```
//!
//! The program starts itself twice, and a private Postgres unless `DATABASE_URL` says where one is.
//! Together the workers send ten mails a second: whoever has to wait is told its turn by the one
//! answer of the database, in the order in which both of them ask.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use deadpool_postgres::{Manager, Pool, Runtime};
use std::{
    env,
    error::Error,
    process::{Child, Command},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_postgres::NoTls;
use tower_ratelimit::{LeakyBucket, OnFailure, Rate, StoredLimiter, store::PostgresStore};

/// How the tests start a private Postgres. It ends with this process, in whatever way that ends.
#[path = "../tests/suite/servers/mod.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "the tests need more of it")]
mod servers;

const TABLE: &str = "rate_limits_of_an_example";
const MAILS: usize = 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [name, url, start] => work(name, url, start.parse()?).await,
        _ => show().await,
    }
}

/// A worker: sends its mails, each with a permit of the limit that it shares.
async fn work(name: &str, url: &str, start: u64) -> Result<(), Box<dyn Error>> {
    let store = PostgresStore::new(pool(url)?).table(TABLE)?;
    // Ten a second, and bursts of three. Without the database no mail is sent.
    let limit = LeakyBucket::new(Rate::per_second(10)?).capacity(3)?;
    let limiter = StoredLimiter::builder("mails", store, limit, OnFailure::Refuse)
        .deadline(Duration::from_secs(2))?
        .build()?;
    for mail in 1..=MAILS {
        // The limit of one key: here there is one mail server for all.
        let permit = limiter.key("mail.example.org").acquire().await?;
        let (at, waited) = (now().saturating_sub(start), permit.waited().as_millis());
        println!("{at:>5} ms: {name} sends mail {mail:>2}, after a wait of {waited:>3} ms");
    }
    Ok(())
}

/// Starts Postgres and the workers, and waits for them.
async fn show() -> Result<(), Box<dyn Error>> {
    let url = servers::postgres::url();
    println!("Postgres is at {url}");
    let pool = pool(&url)?;
    let store = PostgresStore::new(pool.clone()).table(TABLE)?;
    // Once, by somebody who may create tables. It does no harm to do it again.
    store.create_tables().await?;

    let start = now();
    let workers = ["worker 1", "worker 2"].map(|name| Worker::start(name, &url, start));
    for worker in workers {
        let status = worker?.0.wait()?;
        if !status.success() {
            return Err(format!("a worker failed: {status}").into());
        }
    }
    let took = now().saturating_sub(start);
    println!("{} mails in {took} ms, by two processes", 2 * MAILS);
    remove(&pool).await?;
    // All but the burst of three take a tenth of a second each.
    match took < 100 * (2 * MAILS as u64 - 3) {
        true => Err("they were sent faster than ten a second".into()),
        false => Ok(()),
    }
}

/// Leaves nothing in a database that was there before.
async fn remove(pool: &Pool) -> Result<(), Box<dyn Error>> {
    let client = pool.get().await?;
    let functions = "SELECT oid::regprocedure::text FROM pg_proc WHERE starts_with(proname, $1)";
    for function in client.query(functions, &[&format!("{TABLE}_")]).await? {
        let function: String = function.get(0);
        client.batch_execute(&format!("DROP FUNCTION IF EXISTS {function} CASCADE")).await?;
    }
    Ok(client.batch_execute(&format!("DROP TABLE IF EXISTS {TABLE} CASCADE")).await?)
}

/// A worker in a process of its own, which ends when this is dropped at the latest.
struct Worker(Child);

impl Worker {
    fn start(name: &str, url: &str, start: u64) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        Ok(Self(command.args([name, url, &start.to_string()]).spawn()?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pool of connections, which the store shares with whatever else you do.
fn pool(url: &str) -> Result<Pool, Box<dyn Error>> {
    let pool = Pool::builder(Manager::new(url.parse()?, NoTls))
        .max_size(4)
        .wait_timeout(Some(Duration::from_secs(1)))
        .runtime(Runtime::Tokio1)
        .build()?;
    Ok(pool)
}

/// Milliseconds, by the clock that both workers have.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
