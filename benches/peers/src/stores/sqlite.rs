//! Limits in an SQLite file.

use super::{
    load::{CALLERS, MANY, Row},
    ours::{OURS, Unbatched, limiter, refused},
    server::folder,
    side_by_side::SideBySide,
};
use crate::harness::{Bound, Length};
use rusqlite::{Connection, params};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::SystemTime,
};
use tokio::{
    runtime::Builder,
    sync::{Mutex, oneshot},
};
use tower_ratelimit::store::SqliteStore;

const TRANSACTION: &str = "one transaction a decision";
const ONE_AT_A_TIME: &str = "ours, one order at a time";

/// The generic cell rate algorithm, and nothing else, by the numbers of the others. It returns no row
/// where it refuses.
const ONE_A_DECISION: &str = "
    INSERT INTO cells AS cell (key, tat) VALUES (?1, ?2 + 1000000)
    ON CONFLICT (key) DO UPDATE SET tat = max(cell.tat + 1000000, excluded.tat)
    WHERE cell.tat + 1000000 - ?2 <= 3000000000000000
    RETURNING tat
";

pub fn run(length: Length) -> Vec<Bound> {
    let folder = Folder(folder("sqlite", 0));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system has threads and timers");
    let rows = runtime.block_on(async { rows(&folder.0) });
    let rows = SideBySide::measure("sqlite", &runtime, rows, length);
    let mut bounds = Vec::new();
    for keys in [1, MANY] {
        for other in [TRANSACTION, ONE_AT_A_TIME] {
            bounds.push(rows.bound([OURS, other], keys, CALLERS, 3.0));
        }
    }
    bounds.extend(rows.bounds());
    bounds
}

fn rows(folder: &Path) -> Vec<Row> {
    let store = SqliteStore::open(folder.join("ours")).expect("the folder is there");
    let writer = writer(&folder.join("theirs"));
    let mut rows = Vec::new();
    for keys in [1, MANY] {
        rows.push(limiter(keys, CALLERS, &store));
        rows.push(one_at_a_time(keys, &store));
        rows.push(transaction(keys, CALLERS, &writer));
    }
    rows.push(limiter(MANY, 1, &store));
    rows.push(Unbatched::new(&store).row(MANY, 1));
    rows.push(transaction(MANY, 1, &writer));
    rows.extend(refused(&store));
    rows
}

/// The store without its group commit: whoever asks waits until nobody else does.
fn one_at_a_time(keys: u64, store: &SqliteStore) -> Row {
    let alone = Unbatched::new(store);
    let turn = Arc::new(Mutex::new(()));
    Row::new(ONE_AT_A_TIME, keys, CALLERS, move |key| {
        let (turn, decision) = (Arc::clone(&turn), alone.clone().decide(key));
        async move {
            let _turn = turn.lock().await;
            decision.await;
        }
    })
}

/// What one would write oneself.
fn transaction(keys: u64, callers: u64, writer: &mpsc::Sender<Asked>) -> Row {
    let writer = writer.clone();
    Row::new(TRANSACTION, keys, callers, move |key| {
        let (reply, answered) = oneshot::channel();
        let asked = Asked { key: format!("user:{key:06}"), reply };
        writer.send(asked).expect("the thread goes on as long as this");
        async move { assert!(answered.await.expect("the thread answers")) }
    })
}

struct Asked {
    key: String,
    reply: oneshot::Sender<bool>,
}

/// A thread that has the file, and a transaction for each message.
fn writer(file: &Path) -> mpsc::Sender<Asked> {
    let connection = Connection::open(file).expect("the folder is there");
    let set_up = "
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        CREATE TABLE cells (key TEXT PRIMARY KEY, tat INTEGER NOT NULL) WITHOUT ROWID;
    ";
    connection.execute_batch(set_up).expect("the file is new");
    let (asks, asked) = mpsc::channel::<Asked>();
    thread::spawn(move || {
        // By itself a statement is a transaction, one that writes from its beginning.
        let mut decide = connection.prepare(ONE_A_DECISION).expect("there is the table");
        for Asked { key, reply } in asked {
            let passed = decide.exists(params![key, microseconds()]).expect("the disk has room");
            reply.send(passed).expect("whoever asked waits");
        }
    });
    asks
}

fn microseconds() -> i64 {
    let time = SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970");
    time.as_micros() as i64
}

/// Goes with its files.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever fails, there is nothing left to do about it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
