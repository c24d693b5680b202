//! Parts of a run that have to be alone in their process.

use std::{env, fs, process::Command};

/// The first argument of a process that does one part and prints what it came to.
pub const PART: &str = "--part";

/// A process like this one that will do this part only.
pub fn part(words: &[&str]) -> Command {
    let mut command = Command::new(executable());
    command.arg(PART).args(words);
    command
}

/// The same, run by another program with these arguments.
pub fn part_under(program: &str, arguments: &[&str], words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(executable()).arg(PART).args(words);
    command
}

/// What the part came to.
///
/// # Panics
///
/// When it came to nothing.
pub fn figures(mut part: Command) -> Vec<f64> {
    let output = part.output().expect("the program is still where it was started from");
    let printed = String::from_utf8_lossy(&output.stdout);
    let figures: Result<Vec<f64>, _> = printed.split_whitespace().map(str::parse).collect();
    match figures {
        Ok(figures) if output.status.success() && !figures.is_empty() => figures,
        _ => panic!("{part:?} says {printed:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// How many bytes of this process are in memory.
pub fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells what a process has");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.expect("the line has a number of kB") * 1024.0
}

fn executable() -> std::path::PathBuf {
    env::current_exe().expect("the system knows what it runs")
}
