//! The tables of a file.

use crate::invalid::Invalid;
use std::fmt;

/// The name of the table of the records, and how it is made.
#[derive(Clone, Debug)]
pub(super) struct Table(String);

/// As long as with everything appended most tools show it whole.
const LONGEST_NAME: usize = 48;

impl Table {
    pub(super) fn new(name: &str) -> Result<Self, Invalid> {
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_long = !(1..=LONGEST_NAME).contains(&name.len());
        let is_theirs = name.to_ascii_lowercase().starts_with("sqlite_");
        if is_long
            || !is_word
            || name.starts_with(|first: char| first.is_ascii_digit())
            || is_theirs
        {
            let allowed = "1 to 48 ASCII letters, digits and underscores, \
                without a digit or `sqlite_` in front";
            return Err(Invalid::new("table", format_args!("{name:?}"), allowed));
        }
        Ok(Self(name.to_owned()))
    }

    /// What makes the tables where they are missing, in a transaction of its own.
    ///
    /// `latest` is the latest instant at which anything was written, and `ahead` how far the time is
    /// ahead of the clock on the wall. `new_at` stands before the record, so that those who look for
    /// rows to delete need not read long ones.
    pub(super) fn creation(&self) -> String {
        format!(
            "BEGIN IMMEDIATE;
            CREATE TABLE IF NOT EXISTS \"{self}\" (
                name TEXT NOT NULL,
                key BLOB NOT NULL,
                new_at INTEGER NOT NULL,
                record BLOB NOT NULL,
                PRIMARY KEY (name, key)
            ) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS \"{self}_clock\" (
                id INTEGER PRIMARY KEY CHECK (id = 0),
                latest INTEGER NOT NULL,
                ahead INTEGER NOT NULL
            );
            INSERT OR IGNORE INTO \"{self}_clock\" VALUES (0, 0, 0);
            COMMIT;"
        )
    }
}

impl Default for Table {
    fn default() -> Self {
        Self("rate_limits".to_owned())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
