//! The statements on the tables of a file, and nothing that decides.

use super::{table::Table, time::FileTime};
use crate::{nanos::Nanos, store::StoreKey};
use rusqlite::{Connection, OptionalExtension, Result, Statement, params};
use std::time::Duration;

/// The rows of the table, each a key of a limit.
pub(super) struct Rows<'c> {
    connection: &'c Connection,
    begin_reading: Statement<'c>,
    begin_writing: Statement<'c>,
    commit: Statement<'c>,
    roll_back: Statement<'c>,
    version: Statement<'c>,
    time: Statement<'c>,
    set_latest: Statement<'c>,
    set_ahead: Statement<'c>,
    load: Statement<'c>,
    save: Statement<'c>,
    delete: Statement<'c>,
    look_through: Statement<'c>,
}

/// What is in a row.
pub(super) struct Row {
    pub(super) new_at: Nanos,
    pub(super) record: Vec<u8>,
}

/// Where a row is.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) key: Vec<u8>,
}

impl<'c> Rows<'c> {
    pub(super) fn new(connection: &'c Connection, table: &Table) -> Result<Self> {
        let prepare = |sql: &str| connection.prepare(sql);
        Ok(Self {
            connection,
            begin_reading: prepare("BEGIN DEFERRED")?,
            // One that reads first and writes later would fail whenever another wrote in between.
            begin_writing: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            roll_back: prepare("ROLLBACK")?,
            version: prepare("PRAGMA data_version")?,
            time: prepare(&format!("SELECT latest, ahead FROM \"{table}_clock\" WHERE id = 0"))?,
            set_latest: prepare(&format!(
                "INSERT INTO \"{table}_clock\" (id, latest, ahead) VALUES (0, ?1, 0)
                ON CONFLICT (id) DO UPDATE SET latest = excluded.latest"
            ))?,
            set_ahead: prepare(&format!(
                "INSERT INTO \"{table}_clock\" (id, latest, ahead) VALUES (0, 0, ?1)
                ON CONFLICT (id) DO UPDATE SET ahead = excluded.ahead"
            ))?,
            load: prepare(&format!(
                "SELECT new_at, record FROM \"{table}\" WHERE name = ?1 AND key = ?2"
            ))?,
            save: prepare(&format!(
                // All of the row is written, so that SQLite need not look for it first.
                "REPLACE INTO \"{table}\" (name, key, new_at, record) VALUES (?1, ?2, ?3, ?4)"
            ))?,
            delete: prepare(&format!("DELETE FROM \"{table}\" WHERE name = ?1 AND key = ?2"))?,
            look_through: prepare(&format!(
                "SELECT name, key, new_at FROM \"{table}\"
                WHERE (name, key) >= (?1, ?2) ORDER BY name, key LIMIT ?3"
            ))?,
        })
    }

    /// Sees what is there now until the end, and writes nothing.
    pub(super) fn begin_reading(&mut self) -> Result<()> {
        self.begin_reading.execute([]).map(drop)
    }

    /// The same, and nobody else writes meanwhile.
    pub(super) fn begin_writing(&mut self) -> Result<()> {
        self.begin_writing.execute([]).map(drop)
    }

    /// The same, unless others are writing: it does not wait for them.
    pub(super) fn begin_writing_at_once(&mut self) -> Result<()> {
        let timeout: u32 =
            self.connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
        self.connection.busy_timeout(Duration::ZERO)?;
        let begun = self.begin_writing();
        self.connection.busy_timeout(Duration::from_millis(timeout.into()))?;
        begun
    }

    /// Ends what was begun. What was written stays.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.commit.execute([]).map(drop)
    }

    /// Whether SQLite has ended what was begun by itself, as it does after some failures. Nothing of
    /// it stays then.
    pub(super) fn have_ended(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Ends what was begun, if anything was and has not ended. Nothing of what was written stays.
    pub(super) fn roll_back(&mut self) {
        if !self.have_ended() {
            // What cannot be rolled back is so when the file is opened next.
            let _ = self.roll_back.execute([]);
        }
    }

    /// A number that is another one once another connection has written, as of the beginning of the
    /// transaction.
    pub(super) fn version(&mut self) -> Result<i64> {
        self.version.query_row([], |row| row.get(0))
    }

    /// The latest instant that was written, and how far that was ahead.
    pub(super) fn time(&mut self) -> Result<FileTime> {
        let row = self.time.query_row([], |row| {
            Ok(FileTime { time: from_integer(row.get(0)?), ahead: from_integer(row.get(1)?) })
        });
        Ok(row.optional()?.unwrap_or_default())
    }

    pub(super) fn set_latest(&mut self, latest: Nanos) -> Result<()> {
        self.set_latest.execute([to_integer(latest)]).map(drop)
    }

    pub(super) fn set_ahead(&mut self, ahead: Nanos) -> Result<()> {
        self.set_ahead.execute([to_integer(ahead)]).map(drop)
    }

    pub(super) fn load(&mut self, name: &str, key: &StoreKey) -> Result<Option<Row>> {
        let row = self.load.query_row(params![name, key.bytes()], |row| {
            Ok(Row { new_at: from_integer(row.get(0)?), record: row.get(1)? })
        });
        row.optional()
    }

    pub(super) fn save(&mut self, name: &str, key: &[u8], row: &Row) -> Result<()> {
        let Row { new_at, record } = row;
        self.save.execute(params![name, key, to_integer(*new_at), record]).map(drop)
    }

    pub(super) fn delete(&mut self, name: &str, key: &[u8]) -> Result<()> {
        self.delete.execute(params![name, key]).map(drop)
    }

    /// Deletes what equals new at this instant among so many rows from a place on. Returns the place
    /// from which to go on, and where those were.
    pub(super) fn tidy(
        &mut self,
        from: &Place,
        rows: usize,
        now: Nanos,
    ) -> Result<(Place, Vec<Place>)> {
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        let mut seen = 0;
        // Behind the last row comes the first.
        let mut next = Place::default();
        let mut equal_new = Vec::new();
        let mut found = self.look_through.query(params![from.name, from.key, limit])?;
        while let Some(row) = found.next()? {
            seen += 1;
            let place = || -> Result<Place> { Ok(Place { name: row.get(0)?, key: row.get(1)? }) };
            if from_integer(row.get(2)?) <= now {
                equal_new.push(place()?);
            }
            if seen == rows {
                next = place()?;
            }
        }
        drop(found);
        for Place { name, key } in &equal_new {
            self.delete.execute(params![name, key])?;
        }
        Ok((next, equal_new))
    }
}

/// An instant as SQLite keeps it. Its integers end in 2262, and the last one stands for all that
/// comes after.
fn to_integer(instant: Nanos) -> i64 {
    i64::try_from(instant.get()).unwrap_or(i64::MAX)
}

fn from_integer(integer: i64) -> Nanos {
    match integer {
        i64::MAX => Nanos::MAX,
        integer => Nanos::new(u64::try_from(integer).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::{from_integer, to_integer};
    use crate::nanos::Nanos;

    #[test]
    fn an_instant_is_read_as_written_or_later() {
        for instant in [0, 1, 1 << 62, i64::MAX as u64 - 1] {
            assert_eq!(from_integer(to_integer(Nanos::new(instant))), Nanos::new(instant));
        }
        for instant in [i64::MAX as u64, 1 << 63, u64::MAX] {
            assert_eq!(from_integer(to_integer(Nanos::new(instant))), Nanos::MAX);
        }
        assert_eq!(from_integer(-1), Nanos::ZERO);
    }
}
