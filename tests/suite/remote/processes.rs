//! Several processes on one store. They are this program itself, run as [`child`].

use super::{DEADLINE, opened};
use crate::servers::{
    self,
    folder::Folder,
    redis::{Server, unique},
};
use std::{
    env,
    io::{BufRead, BufReader, Write, stdout},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};
use tower_ratelimit::{
    Algorithm, Concurrency, OnFailure, Quota, Reason, StoredLimiter,
    store::{PostgresStore, RedisStore, SqliteStore, Store},
};

/// What tells a child where the store is, and what to do.
const PLACE: &str = "TEST_OF_LIMITERS_PLACE";
const DEED: &str = "TEST_OF_LIMITERS_DEED";

const PROCESSES: usize = 4;
const TASKS: usize = 16;
const PERMITS: u32 = 1_000;

/// Where a store is, for several processes.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Sqlite(String),
    Redis { url: String, namespace: String },
    Postgres { url: String, table: String },
}

impl Place {
    pub(super) fn sqlite(folder: &Folder) -> Self {
        Self::Sqlite(folder.file().display().to_string())
    }

    pub(super) fn redis(server: &Server) -> Self {
        Self::Redis { url: server.url().to_owned(), namespace: unique() }
    }

    pub(super) async fn postgres(table: &str) -> Self {
        let url = servers::postgres::url();
        drop(opened::made(opened::pool(&url, 1), table).await);
        Self::Postgres { url, table: table.to_owned() }
    }

    fn lines(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite\n{file}\n"),
            Self::Redis { url, namespace } => format!("redis\n{url}\n{namespace}"),
            Self::Postgres { url, table } => format!("postgres\n{url}\n{table}"),
        }
    }

    /// A process that does this, and the lines that it says.
    pub(super) fn start(&self, deed: &str) -> (Child, impl Iterator<Item = String> + use<>) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "remote::processes::child", "--ignored", "--nocapture"]);
        command.env(PLACE, self.lines()).env(DEED, deed).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        (child, lines.filter(|line| line == "granted"))
    }
}

fn say_granted() {
    let mut out = stdout().lock();
    out.write_all(b"granted\n").and_then(|()| out.flush()).unwrap();
}

/// What a child process does. By itself it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is what the other tests run as processes of their own"]
async fn child() {
    let (Ok(deed), Ok(place)) = (env::var(DEED), env::var(PLACE)) else { return };
    let lines: Vec<&str> = place.split('\n').collect();
    match lines[..] {
        ["sqlite", file, _] => does(&deed, SqliteStore::open(Path::new(file)).unwrap()).await,
        ["redis", url, namespace] => {
            let store = RedisStore::open(url).await.unwrap();
            does(&deed, store.namespace(namespace)).await;
        }
        ["postgres", url, table] => {
            let store = PostgresStore::new(opened::pool(url, 4));
            does(&deed, store.table(table).unwrap()).await;
        }
        _ => panic!("{lines:?}"),
    }
}

async fn does<S: Store<Quota> + Store<Concurrency>>(deed: &str, store: S) {
    match deed {
        "take" => take_all(limiter(store, Quota::new(PERMITS).unwrap())).await,
        "hold" => {
            let two = Concurrency::new(2).unwrap().lease(DEADLINE).unwrap();
            let _permit = limiter(store, two).key("a").acquire().await.unwrap();
            say_granted();
            // Until it is killed.
            std::future::pending().await
        }
        unknown => panic!("{unknown}"),
    }
}

/// The limiter of all processes.
pub(super) fn limiter<A: Algorithm, S: Store<A>>(store: S, algorithm: A) -> StoredLimiter<A, S> {
    // On a busy machine four processes may have to wait for each other.
    let builder = StoredLimiter::builder("shared", store, algorithm, OnFailure::Refuse);
    builder.deadline(DEADLINE * 50).unwrap().build().unwrap()
}

/// Takes with many tasks what there is, and says so each time.
async fn take_all<S: Store<Quota>>(limiter: StoredLimiter<Quota, S>) {
    let tasks = (0..TASKS).map(|task| {
        let limit = limiter.key("a");
        tokio::spawn(async move {
            loop {
                let taken = match task % 2 {
                    0 => limit.try_acquire().await,
                    _ => limit.acquire().await,
                };
                match taken {
                    Ok(_) => say_granted(),
                    Err(refusal) => return assert_eq!(refusal.reason(), Reason::Exhausted),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

fn take_exactly_what_there_is(place: Place) {
    let place = Arc::new(place);
    let counts = (0..PROCESSES).map(|_| {
        let (mut child, granted) = place.start("take");
        thread::spawn(move || (granted.count(), child.wait().unwrap().success()))
    });
    let counts: Vec<_> = counts.collect();
    let counts: Vec<_> = counts.into_iter().map(|count| count.join().unwrap()).collect();
    assert!(counts.iter().all(|(_, has_succeeded)| *has_succeeded), "{counts:?}");
    let sum: usize = counts.iter().map(|(count, _)| count).sum();
    assert_eq!(sum, PERMITS as usize, "{counts:?}");
}

#[test]
fn over_sqlite_four_processes_take_exactly_what_there_is() {
    let folder = Folder::new();
    take_exactly_what_there_is(Place::sqlite(&folder));
}

#[tokio::test]
async fn over_redis_four_processes_take_exactly_what_there_is() {
    let server = Server::start().await;
    take_exactly_what_there_is(Place::redis(&server));
}

#[tokio::test]
async fn over_postgres_four_processes_take_exactly_what_there_is() {
    take_exactly_what_there_is(Place::postgres("remote_processes").await);
}
