//! Four processes share one limit in an SQLite file.
//!
//! ```sh
//! cargo run --example sqlite_processes
//! ```
//!
//! The program starts itself four times, and adds up what each of them was granted. It fails when that
//! is more than the limit allows, however many ask.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use std::{
    env,
    error::Error,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tower_ratelimit::{
    LeakyBucket, OnFailure, Rate, RateLimited, Reason, StoredLimiter, store::SqliteStore,
};

const PROCESSES: usize = 4;
const TASKS: usize = 16;
const TIME: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args_os().nth(1) {
        Some(file) => one_of_four(Path::new(&file)).await,
        None => all_four(),
    }
}

/// A process: asks with many tasks, again and again, and counts how often the answer is yes.
async fn one_of_four(file: &Path) -> Result<(), Box<dyn Error>> {
    // A hundred a second and bursts of twenty, for all processes together.
    let limit = LeakyBucket::new(Rate::per_second(100)?).capacity(20)?;
    // A file that cannot be written lets nobody through. It is shared with others who write: the
    // deadline is longer than a disk is busy.
    let limiter =
        StoredLimiter::builder("mails", SqliteStore::open(file)?, limit, OnFailure::Refuse)
            .deadline(Duration::from_secs(5))?
            .build()?;
    let end = Instant::now() + TIME;
    let tasks = (0..TASKS).map(|_| {
        let mails = limiter.key("example.org");
        tokio::spawn(async move {
            let mut granted = 0_u64;
            while Instant::now() < end {
                match mails.try_acquire().await {
                    Ok(_) => granted += 1,
                    Err(refused) if refused.reason() == Reason::UsedUp => {
                        sleep(refused.retry_after().unwrap_or(TIME)).await;
                    }
                    Err(failed) => return Err(failed),
                }
            }
            Ok::<_, RateLimited>(granted)
        })
    });
    let mut granted = 0;
    for task in tasks.collect::<Vec<_>>() {
        granted += task.await??;
    }
    println!("{granted}");
    Ok(())
}

/// Starts the processes, and adds up what they say.
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
    // The burst, and one for each ten milliseconds.
    let most = 20 + start.elapsed().as_millis().div_ceil(10);
    println!("all of them: {granted} calls, and at most {most} are allowed");
    std::fs::remove_dir_all(folder)?;
    match u128::from(granted) > most {
        true => Err("more calls were granted than are allowed".into()),
        false => Ok(()),
    }
}
