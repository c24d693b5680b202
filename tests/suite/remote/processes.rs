//! Several processes on one store. They are this program itself, run as [`child`].

use super::{DEADLINE, opened};
use crate::servers::{
    self,
    cluster::Cluster,
    folder::Folder,
    redis::{Server, unique},
};
use redis::cluster::ClusterClient;
use std::{
    env,
    io::{BufRead, BufReader, Write, stdin, stdout},
    iter,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, Concurrency, OnFailure, Quota, Reason, StoredLimiter,
    store::{PostgresStore, SqliteStore, Store},
};

/// What tells a child where the store is, and what to do.
const PLACE: &str = "TEST_OF_LIMITERS_PLACE";
const DEED: &str = "TEST_OF_LIMITERS_DEED";

const PROCESSES: usize = 4;
const TASKS: usize = 16;
const PERMITS: u32 = 1_000;
/// What one process takes at most, so that three of them cannot take all.
const SHARE: u32 = 300;

/// The lease of a permit that a process holds: longer than a machine is busy.
pub(super) const HELD: Duration = DEADLINE.saturating_mul(4);

/// Where a store in Redis decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    There,
    Here,
}

/// Where a store is, for several processes.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Sqlite(String),
    Redis { url: String, namespace: String, way: Way },
    Cluster { urls: String, namespace: String, way: Way },
    Postgres { url: String, table: String },
}

impl Place {
    pub(super) fn sqlite(folder: &Folder) -> Self {
        Self::Sqlite(folder.file().display().to_string())
    }

    pub(super) fn redis(server: &Server, way: Way) -> Self {
        Self::Redis { url: server.url().to_owned(), namespace: unique(), way }
    }

    pub(super) fn cluster(cluster: &Cluster, way: Way) -> Self {
        Self::Cluster { urls: cluster.urls().join(" "), namespace: unique(), way }
    }

    pub(super) async fn postgres(table: &str) -> Self {
        let url = servers::postgres::url();
        drop(opened::made(opened::pool(&url, 1), table).await);
        Self::Postgres { url, table: table.to_owned() }
    }

    fn lines(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite\n{file}\n"),
            Self::Redis { url, namespace, way } => format!("redis {way:?}\n{url}\n{namespace}"),
            Self::Cluster { urls, namespace, way } => {
                format!("cluster {way:?}\n{urls}\n{namespace}")
            }
            Self::Postgres { url, table } => format!("postgres\n{url}\n{table}"),
        }
    }

    /// A process that is about to do this, and waits to be told that it begins.
    pub(super) fn start(&self, deed: &str) -> Process {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "remote::processes::child", "--ignored", "--nocapture"]);
        command.env(PLACE, self.lines()).env(DEED, deed);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut process = Process { child, out };
        process.says("ready");
        process
    }
}

/// Another process, and what it says. It is killed when it is dropped.
pub(super) struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    pub(super) fn begin(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"begin\n").unwrap();
    }

    /// Waits until it says this.
    pub(super) fn says(&mut self, what: &str) {
        assert!(self.lines().any(|line| line == what), "it never says that it is {what}");
    }

    /// How often it was granted something, and whether it ended well.
    fn grants(mut self) -> (usize, bool) {
        let granted = self.lines().filter(|line| line == "granted").count();
        (granted, self.child.wait().unwrap().success())
    }

    fn lines(&mut self) -> impl Iterator<Item = String> {
        let out = &mut self.out;
        iter::from_fn(move || {
            let mut line = String::new();
            out.read_line(&mut line).ok().filter(|length| *length > 0)?;
            Some(line.trim_end().to_owned())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(what: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
}

/// Waits until it is told to begin.
fn ready() {
    // The name of the test may stand in this line.
    say("\nready");
    stdin().read_line(&mut String::new()).unwrap();
}

/// What a child process does. By itself it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is what the other tests run as processes of their own"]
async fn child() {
    let (Ok(deed), Ok(place)) = (env::var(DEED), env::var(PLACE)) else { return };
    let lines: Vec<&str> = place.split('\n').collect();
    match lines[..] {
        ["sqlite", file, _] => does(&deed, SqliteStore::open(Path::new(file)).unwrap()).await,
        ["redis There", url, namespace] => does(&deed, redis(url, namespace).await).await,
        ["redis Here", url, namespace] => {
            does(&deed, redis(url, namespace).await.optimistic()).await;
        }
        ["cluster There", urls, namespace] => does(&deed, cluster(urls, namespace).await).await,
        ["cluster Here", urls, namespace] => {
            does(&deed, cluster(urls, namespace).await.optimistic()).await;
        }
        ["postgres", url, table] => {
            let store = PostgresStore::new(opened::pool(url, 4));
            does(&deed, store.table(table).unwrap()).await;
        }
        _ => panic!("{lines:?}"),
    }
}

pub(super) async fn redis(url: &str, namespace: &str) -> opened::Redis {
    opened::redis_at(url).await.namespace(namespace)
}

pub(super) async fn cluster(urls: &str, namespace: &str) -> opened::RedisCluster {
    let client = ClusterClient::new(urls.split(' ')).unwrap();
    opened::redis_by(client).await.namespace(namespace)
}

async fn does<S: Store<Quota> + Store<Concurrency>>(deed: &str, store: S) {
    match deed {
        "take" => {
            let limiter = limiter(store, Quota::new(PERMITS).unwrap());
            ready();
            take_share(limiter).await;
        }
        "hold" => {
            let limiter = limiter(store, Concurrency::new(2).unwrap().lease(HELD).unwrap());
            ready();
            let _permit = limiter.key("a").acquire().await.unwrap();
            say("granted");
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

/// Takes with many tasks what there is, up to its share, and says so each time.
async fn take_share<S: Store<Quota>>(limiter: StoredLimiter<Quota, S>) {
    let asked = Arc::new(AtomicU32::new(0));
    let tasks = (0..TASKS).map(|task| {
        let (limit, asked) = (limiter.key("a"), Arc::clone(&asked));
        tokio::spawn(async move {
            while asked.fetch_add(1, SeqCst) < SHARE {
                let taken = match task % 2 {
                    0 => limit.try_acquire().await,
                    _ => limit.acquire().await,
                };
                match taken {
                    Ok(_) => say("granted"),
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
    let mut processes = [(); PROCESSES].map(|()| place.start("take"));
    // All at the same time.
    processes.iter_mut().for_each(Process::begin);
    let counts = processes.map(|process| thread::spawn(|| process.grants()));
    let counts = counts.map(|count| count.join().unwrap());
    assert!(counts.iter().all(|(_, has_succeeded)| *has_succeeded), "{counts:?}");
    assert!(counts.iter().all(|(count, _)| *count > 0), "not all took part: {counts:?}");
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
    take_exactly_what_there_is(Place::redis(&server, Way::There));
    take_exactly_what_there_is(Place::redis(&server, Way::Here));
}

#[tokio::test]
async fn over_a_cluster_of_redis_four_processes_take_exactly_what_there_is() {
    let cluster = Cluster::start().await;
    take_exactly_what_there_is(Place::cluster(&cluster, Way::There));
    take_exactly_what_there_is(Place::cluster(&cluster, Way::Here));
}

#[tokio::test]
async fn over_postgres_four_processes_take_exactly_what_there_is() {
    take_exactly_what_there_is(Place::postgres("remote_processes").await);
}
