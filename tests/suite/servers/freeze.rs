//! Servers that accept and never answer.

use std::{fs, process::Command};

/// Stopped processes, which go on when it is dropped.
pub(crate) struct Frozen(Vec<String>);

impl Frozen {
    /// Stops a process and its children.
    pub(super) fn new(process: u32) -> Self {
        // The parent first, so that it makes no more of them.
        let mut frozen = Self(Vec::new());
        frozen.stop(process.to_string());
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        for child in children.expect("it runs, on Linux").split_whitespace() {
            frozen.stop(child.to_owned());
        }
        frozen
    }

    fn stop(&mut self, process: String) {
        // A child may have ended meanwhile.
        if signal("-STOP", &process) {
            self.0.push(process);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in &self.0 {
            signal("-CONT", process);
        }
    }
}

/// Whether the process was there to be told.
fn signal(signal: &str, process: &str) -> bool {
    let status = Command::new("kill").args([signal, process]).status();
    status.expect("a command that sends signals").success()
}
