//! Servers that a script of the shell runs, which stops them when this process has gone, in whatever way.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Runs until it is dropped.
pub(super) struct Script {
    child: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Script {
    /// Starts this text with these arguments, as somebody other than root.
    pub(super) fn start(text: &str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", text, "sh"]).args(arguments);
        // These servers refuse to run as root. What is typed at the terminal is not for them either.
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let commands = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, commands, replies }
    }

    /// Has it do something.
    pub(super) fn command(&mut self, command: &str) {
        writeln!(self.commands.as_mut().expect("it runs"), "{command}").expect("it listens");
        assert_eq!(self.reply(), "done");
    }

    /// What it says next.
    pub(super) fn reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("it writes text");
        assert!(!line.is_empty(), "a server does not run: what it said is above");
        line.trim_end().to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.child.wait();
    }
}

/// Who runs the server where we are root.
fn other_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    // Our own files in there are ours.
    if !Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0) {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the list of users");
    let find = |name: &str| {
        let user = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = user.split(':').skip(1).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    let user = find("postgres").or_else(|| find("nobody"));
    Some(user.expect("a user other than root, such as nobody"))
}
