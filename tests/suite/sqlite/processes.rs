//! Several processes on one file. They are this program itself, run as [`child`].

use super::{Folder, ask, quota, remaining, take};
use std::{
    env,
    io::{BufRead, BufReader, Write, stdin, stdout},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};
use tower_ratelimit::{Ask, Take, store::SqliteStore};

/// What tells a child which file it is about, and what to do.
const FILE: &str = "TEST_OF_RATE_LIMITS_FILE";
const DEED: &str = "TEST_OF_RATE_LIMITS_DEED";

const PERMITS: u32 = 2_000;
/// What one of four processes takes at most, so that three of them cannot take all.
const SHARE: u32 = 600;
/// More than a process takes before it is killed.
const PLENTY: u32 = 10_000_000;
const TASKS: usize = 16;

/// Waits for a condition, and not for ever.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(50), "not so: {what}");
        thread::yield_now();
    }
}

fn start(file: &Path, deed: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "sqlite::processes::child", "--ignored", "--nocapture"]);
    command.env(FILE, file).env(DEED, deed).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// What a child says, until it is silent.
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok)
}

/// How often a child says that it was granted something.
fn granted(child: &mut Child) -> impl Iterator<Item = ()> + use<> {
    lines(child).filter(|line| line == "granted").map(drop)
}

/// What a child process does. By itself it does nothing.
#[test]
#[ignore = "it is what the other tests run as processes of their own"]
fn child() {
    let (Ok(deed), Some(file)) = (env::var(DEED), env::var_os(FILE)) else { return };
    match &*deed {
        "take" => {
            // The name of the test may stand in this line.
            say("\nready");
            stdin().read_line(&mut String::new()).unwrap();
            take_share(Path::new(&file), PERMITS, SHARE);
        }
        "take plenty" => take_share(Path::new(&file), PLENTY, PLENTY),
        "open and close" => open_and_close(Path::new(&file)),
        unknown => panic!("{unknown}"),
    }
}

/// Says it at once, for the process may be killed.
fn say(what: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
}

/// Takes with many tasks what there is, up to its share, and says so each time.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn take_share(file: &Path, permits: u32, share: u32) {
    let (store, limit) = (SqliteStore::open(file).unwrap(), quota(permits));
    let asked = Arc::new(AtomicU32::new(0));
    let tasks = (0..TASKS).map(|_| {
        let (store, limit, asked) = (store.clone(), Arc::clone(&limit), Arc::clone(&asked));
        tokio::spawn(async move {
            let one = Ask::Take(Take::fresh(1));
            while asked.fetch_add(1, SeqCst) < share
                && ask(&store, &limit, "a", one).await.unwrap().is_granted()
            {
                say("granted");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[test]
fn four_processes_take_exactly_what_there_is() {
    let folder = Folder::new();
    let mut children = [(); 4].map(|()| start(&folder.file(), "take"));
    let said = children.each_mut().map(|child| {
        let mut said = lines(child);
        assert!(said.any(|line| line == "ready"), "it never says that it is ready");
        said
    });
    // All at the same time: nobody has made the file before them.
    for child in &mut children {
        child.stdin.as_mut().unwrap().write_all(b"begin\n").unwrap();
    }
    let counts = said.map(|said| thread::spawn(|| said.filter(|line| line == "granted").count()));
    let counts = counts.map(|count| count.join().unwrap());
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert!(counts.iter().all(|count| *count > 0), "not all took part: {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), PERMITS as usize, "{counts:?}");
    assert_eq!(remaining(&folder.open(), &quota(PERMITS), "a").ok(), Some(0));
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_was_granted() {
    let (folder, limit) = (Folder::new(), quota(PLENTY));
    let mut in_all = 0;
    for round in 1..=5 {
        let mut child = start(&folder.file(), "take plenty");
        let mut granted = granted(&mut child);
        let heard = granted.by_ref().take(200).count();
        child.kill().unwrap();
        // Also what it said before it was silenced.
        in_all += heard + granted.count();
        child.wait().unwrap();
        let left = remaining(&folder.open(), &limit, "a").unwrap() as usize;
        assert!(in_all + left <= PLENTY as usize, "{in_all} granted, {left} left");
        // It may have been killed before it could say so.
        assert!(in_all + left + round * TASKS >= PLENTY as usize, "{in_all} and {left}");
    }
    let store = folder.open();
    let left = remaining(&store, &limit, "a").unwrap();
    assert_eq!(take(&store, &limit, "a", left + 1).ok(), Some(false));
    assert_eq!(take(&store, &limit, "a", left).ok(), Some(true));
}

/// What this process has open, and its threads.
fn held() -> (usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

fn open_and_close(file: &Path) {
    let limit = quota(PERMITS);
    drop(SqliteStore::open(file).unwrap());
    let before = held();
    for _ in 0..50 {
        let store = SqliteStore::open(file).unwrap();
        take(&store.clone(), &limit, "a", 1).unwrap();
        assert!(SqliteStore::open(file.join("missing")).is_err());
    }
    until("all is closed", || {
        let now = held();
        now.0 <= before.0 && now.1 <= before.1
    });
    say("granted");
}

#[test]
#[cfg(target_os = "linux")]
fn r28_neither_threads_nor_files_are_left_behind() {
    let folder = Folder::new();
    let mut child = start(&folder.file(), "open and close");
    assert_eq!(granted(&mut child).count(), 1);
    assert!(child.wait().unwrap().success());
    assert_eq!(remaining(&folder.open(), &quota(PERMITS), "a").ok(), Some(PERMITS - 50));
}
