//! A pooler that lends connections for one transaction, in front of the Postgres of our own.

use super::{postgres, script::Script};
use std::{env, path::PathBuf};

/// Runs until it is dropped, or until this process ends in whatever way.
pub(crate) struct Pooler {
    _script: Script,
    folder: String,
}

impl Pooler {
    /// With this many connections to the server, on which all clients take turns: each transaction is on
    /// another one than the one before.
    pub(crate) fn start(connections: u32) -> Self {
        let (program, server) = (program(), postgres::own().folder());
        let connections = connections.to_string();
        let arguments = [program.as_os_str(), server.as_os_str(), connections.as_ref()];
        let mut script = Script::start(include_str!("pgbouncer.sh"), arguments);
        let folder = script.reply();
        Self { _script: script, folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("host={} port=6432 user=postgres dbname=postgres", self.folder)
    }
}

/// Some distributions keep it where only root looks.
fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let elsewhere = ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = env::split_paths(&path).chain(elsewhere);
    let program = folders.find_map(|folder| Some(folder.join("pgbouncer")).filter(|p| p.exists()));
    program.unwrap_or_else(|| panic!("no pgbouncer: install it (Debian: pgbouncer)"))
}
