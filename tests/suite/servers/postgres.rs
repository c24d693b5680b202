//! A Postgres of our own.

use super::{freeze::Frozen, script::Script};
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Runs until it is dropped, or until this process ends in whatever way.
pub(crate) struct Postgres {
    script: Script,
    folder: String,
}

/// Where the server is that all tests use: the one of `DATABASE_URL`, or one of our own.
pub(crate) fn url() -> String {
    env::var("DATABASE_URL").unwrap_or_else(|_| own().url())
}

/// The one of our own, which nobody stops.
pub(super) fn own() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(Postgres::start)
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let mut script = Script::start(include_str!("postgres.sh"), [programs()]);
        let folder = script.reply();
        Self { script, folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.folder)
    }

    /// Has the server stopped as if it had crashed.
    pub(crate) fn crash(&mut self) {
        self.script.command("stop immediate");
    }

    /// Has it stopped in order: who is connected is sent away.
    pub(crate) fn stop(&mut self) {
        self.script.command("stop fast");
    }

    /// Has it let nobody in from now on. It stops when all who are connected have left.
    pub(crate) fn close(&mut self) {
        self.script.command("close");
    }

    /// Whether it has not stopped.
    pub(crate) fn runs(&self) -> bool {
        self.process_file().exists()
    }

    /// Has it started again.
    pub(crate) fn restart(&mut self) {
        self.script.command("start");
    }

    /// The file that is there while it runs, and tells its number.
    fn process_file(&self) -> PathBuf {
        self.folder().join("data/postmaster.pid")
    }

    /// The folder in which it listens.
    pub(super) fn folder(&self) -> &Path {
        Path::new(&self.folder)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join(".s.PGSQL.5432")
    }

    /// Has the server and all its connections answer nothing for as long as that lives.
    pub(crate) fn freeze(&self) -> Frozen {
        let lines = fs::read_to_string(self.process_file()).expect("it runs");
        let process = lines.lines().next().and_then(|line| line.parse().ok());
        Frozen::new(process.expect("the first line is its number"))
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
