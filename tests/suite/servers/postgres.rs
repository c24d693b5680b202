//! A Postgres of our own.

use super::freeze::Frozen;
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

/// Runs until it is dropped, or until this process ends in whatever way: its script notices.
pub(crate) struct Postgres {
    script: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    folder: String,
}

/// Where the server is that all tests use: the one of `DATABASE_URL`, or one of our own.
pub(crate) fn url() -> String {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    env::var("DATABASE_URL").unwrap_or_else(|_| SHARED.get_or_init(Postgres::start).url())
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", include_str!("postgres.sh"), "sh"]).arg(programs());
        // It refuses to run as root. What is typed at the terminal is not for it either.
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().expect("a shell");
        let commands = script.stdin.take();
        let replies = BufReader::new(script.stdout.take().expect("it is piped"));
        let mut postgres = Self { script, commands, replies, folder: String::new() };
        postgres.folder = postgres.reply();
        postgres
    }

    pub(crate) fn url(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.folder)
    }

    /// Has the server stopped as if it had crashed.
    pub(crate) fn crash(&mut self) {
        self.command("stop");
    }

    /// Has it started again.
    pub(crate) fn restart(&mut self) {
        self.command("start");
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        PathBuf::from(&self.folder).join(".s.PGSQL.5432")
    }

    /// Has the server and all its connections answer nothing for as long as that lives.
    pub(crate) fn freeze(&self) -> Frozen {
        let file = format!("{}/data/postmaster.pid", self.folder);
        let lines = fs::read_to_string(file).expect("it runs");
        let process = lines.lines().next().and_then(|line| line.parse().ok());
        Frozen::new(process.expect("the first line is its number"))
    }

    fn command(&mut self, command: &str) {
        writeln!(self.commands.as_mut().expect("it runs"), "{command}").expect("it listens");
        assert_eq!(self.reply(), "done");
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("it writes text");
        assert!(!line.is_empty(), "Postgres does not run: what it said is above");
        line.trim_end().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.script.wait();
    }
}

/// The folder of the programs, which many distributions keep off the path.
fn programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().collect();
    versions.sort_by_key(|version| version.as_ref().ok().map(fs::DirEntry::path));
    folders.extend(versions.into_iter().rev().flatten().map(|version| version.path().join("bin")));
    folders.extend(["/usr/local/pgsql/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    let has_both = |folder: &&PathBuf| ["initdb", "pg_ctl"].iter().all(|p| folder.join(p).exists());
    let missing = "no Postgres: install it (Debian: postgresql)";
    folders.iter().find(has_both).unwrap_or_else(|| panic!("{missing}")).clone()
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
