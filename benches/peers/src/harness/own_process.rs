//! Parts of a run that have to be alone in their process.

use std::{env, process::Command};

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
pub fn figure(mut part: Command) -> f64 {
    let output = part.output().expect("the program is still where it was started from");
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.trim().parse() {
        Ok(figure) if output.status.success() => figure,
        _ => panic!("{part:?} says {printed:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn executable() -> std::path::PathBuf {
    env::current_exe().expect("the system knows what it runs")
}
