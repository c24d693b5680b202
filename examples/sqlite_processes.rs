//! Four processes share one limit in an SQLite file.
//!
//! ```sh
//! cargo run --example sqlite_processes
//! ```
//!
//! The program starts itself four times, and adds up what each of them was granted.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    env,
    error::Error,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tower_ratelimit::{
    Ask, Decision, LeakyBucket, Rate, Take,
    store::{
        Batch, Order, Store, StoreAsk, StoreError, StoreKey, StoredLimit, sqlite::SqliteStore,
    },
};

const PROCESSES: usize = 4;
const TASKS: usize = 16;
const TIME: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    match env::args_os().nth(1) {
        Some(file) => one_of_four(Path::new(&file)),
        None => all_four(),
    }
}

fn all_four() -> Result<(), Box<dyn Error>> {
    let folder = env::temp_dir().join(format!("sqlite_processes-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (program, file) = (env::current_exe()?, folder.join("limits.sqlite"));
    let start = Instant::now();
    let run = |_| Command::new(&program).arg(&file).stdout(Stdio::piped()).spawn();
    let processes = (0..PROCESSES).map(run).collect::<Result<Vec<_>, _>>()?;
    let mut granted = 0;
    for process in processes {
        let said = String::from_utf8(process.wait_with_output()?.stdout)?;
        println!("a process: {} calls", said.trim());
        granted += said.trim().parse::<u64>()?;
    }
    let most = 20 + 100 * start.elapsed().as_millis().div_ceil(1000);
    println!("all of them: {granted} calls, and at most {most} are allowed");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Asks with many tasks, again and again, and counts how often the answer is yes.
#[tokio::main]
async fn one_of_four(file: &Path) -> Result<(), Box<dyn Error>> {
    // A hundred a second and bursts of twenty, for all processes together.
    let algorithm = LeakyBucket::new(Rate::per_second(100)?).capacity(20)?;
    let limit = Arc::new(StoredLimit { name: "mails".into(), algorithm });
    let store = SqliteStore::open(file)?;
    let end = Instant::now() + TIME;
    let tasks = (0..TASKS).map(|_| {
        let (store, limit) = (store.clone(), Arc::clone(&limit));
        tokio::spawn(async move {
            let mut granted = 0_u64;
            while Instant::now() < end {
                let decision = take(&store, &limit, "example.org").await?;
                match decision.is_granted() {
                    true => granted += 1,
                    false => sleep(decision.retry_after().unwrap_or(TIME)).await,
                }
            }
            Ok::<_, StoreError>(granted)
        })
    });
    let mut granted = 0;
    for task in tasks.collect::<Vec<_>>() {
        granted += task.await??;
    }
    println!("{granted}");
    Ok(())
}

/// Takes a permit for a key, if there is one.
async fn take(
    store: &SqliteStore,
    limit: &Arc<StoredLimit<LeakyBucket>>,
    key: &str,
) -> Result<Decision, StoreError> {
    let (limit, key) = (Arc::clone(limit), StoreKey::new(key));
    let ask = StoreAsk::Ask(Ask::Take(Take::fresh(1)));
    let order = Order { limit, key, ask, is_with_previous: false };
    let answers = store.decide(Batch::new(vec![order])).await?;
    // There is one for each order.
    Ok(answers[0].decision)
}
