//! How a file is opened.

use super::{SqliteStore, desk::Desk, rows::Rows, table::Table};
use crate::{invalid::Invalid, store::StoreError};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, SyncSender},
    thread,
    time::Duration,
};

/// Opens an [`SqliteStore`] with other settings than the defaults.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::store::SqliteStore;
///
/// let builder = SqliteStore::builder()
///     .table("limits_of_the_mailer")?
///     .busy_timeout(Duration::from_millis(500))
///     .max_bytes(64 << 20);
///
/// let invalid = SqliteStore::builder().table("limits; DROP TABLE users").unwrap_err();
/// assert_eq!(invalid.parameter(), "table");
/// # let _ = builder;
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteBuilder {
    table: Table,
    busy_timeout: Duration,
    synchronous: Synchronous,
    max_bytes: Option<u64>,
}

/// What the disk has to have before permits are granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Nothing yet, the default: what was granted last may be forgotten when the power fails or the
    /// system crashes, but not when the process does. The file is whole in any case.
    #[default]
    Normal,
    /// All that was granted. Each transaction waits for the disk, a fraction of a millisecond to
    /// many of them.
    Full,
}

impl Default for SqliteBuilder {
    fn default() -> Self {
        Self {
            table: Table::default(),
            busy_timeout: Duration::from_secs(5),
            synchronous: Synchronous::default(),
            max_bytes: None,
        }
    }
}

/// How long to wait before another look at a file that somebody else makes.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest time that SQLite waits, 24 days.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

impl SqliteBuilder {
    /// Sets the name of the table, `rate_limits` by default. The name of a second one begins with
    /// it.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for anything but 1 to 48 ASCII letters, digits and underscores, no digit first,
    /// and for a name that begins with `sqlite_`.
    pub fn table(self, name: &str) -> Result<Self, Invalid> {
        Ok(Self { table: Table::new(name)?, ..self })
    }

    /// Sets how long a transaction waits for those of other processes, 5 seconds by default.
    ///
    /// After that, what it was to grant fails. Calls that ask while the thread waits already wait
    /// up to twice as long. It is cut at 24 days.
    pub fn busy_timeout(self, timeout: Duration) -> Self {
        Self { busy_timeout: timeout.min(LONGEST), ..self }
    }

    /// Sets what the disk has to have before permits are granted.
    pub fn synchronous(self, synchronous: Synchronous) -> Self {
        Self { synchronous, ..self }
    }

    /// Sets how large the file may grow by this store, without bounds by default. Beside it there
    /// is a log of a few megabytes.
    ///
    /// Beyond that, what needs more room fails, and nothing else does. A file that is larger
    /// already does not grow. At least one page of the file, 4096 bytes in general, is allowed.
    pub fn max_bytes(self, bytes: u64) -> Self {
        Self { max_bytes: Some(bytes), ..self }
    }

    /// Opens a file, and creates it if there is none.
    ///
    /// It waits for the disk, and for processes that create the same file: a few milliseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be opened, or is no file of such limits.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let path = path.as_ref().to_path_buf();
        let (asks, asked) = mpsc::channel();
        let (report, opened) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("rate-limits".into());
        let run = move || self.run(path, &report, |desk| desk.serve(&asked));
        thread.spawn(run).map_err(StoreError::new)?;
        match opened.recv() {
            Ok(opened) => opened.map(|()| SqliteStore { asks }),
            Err(_) => Err(StoreError::new("the thread of the file has ended")),
        }
    }

    /// The life of the thread, which says whether the file is open.
    fn run(
        self,
        path: PathBuf,
        report: &SyncSender<Result<(), StoreError>>,
        serve: impl FnOnce(Desk<'_>),
    ) {
        // Whoever opens the file waits for the report, so that there is somebody to take it.
        let report = |result| drop(report.send(result));
        let connection = match self.connect(&path) {
            Ok(connection) => connection,
            Err(error) => return report(Err(error)),
        };
        match self.rows(&connection) {
            Ok(rows) => {
                report(Ok(()));
                serve(Desk::new(rows));
            }
            Err(error) => report(Err(StoreError::new(error))),
        }
    }

    fn connect(&self, path: &Path) -> Result<Connection, StoreError> {
        // A path is a path, and no address with parameters in it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(StoreError::new)?;
        let mode = self.write_ahead(&connection).map_err(StoreError::new)?;
        if mode != "wal" {
            return Err(StoreError::new(format!(
                "{} cannot have a write-ahead log: its journal is `{mode}`",
                path.display()
            )));
        }
        self.set_up(&connection).map_err(StoreError::new)?;
        Ok(connection)
    }

    /// Turns on the write-ahead log. SQLite does not wait by itself for others who do the same.
    fn write_ahead(&self, connection: &Connection) -> rusqlite::Result<String> {
        connection.busy_timeout(Duration::ZERO)?;
        let mut waited = Duration::ZERO;
        loop {
            let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
            match mode {
                Err(error) if is_busy(&error) && waited < self.busy_timeout => {
                    thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                mode => return mode,
            }
        }
    }

    fn set_up(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(self.busy_timeout)?;
        connection.execute_batch(match self.synchronous {
            Synchronous::Normal => "PRAGMA synchronous = NORMAL",
            Synchronous::Full => "PRAGMA synchronous = FULL",
        })?;
        if let Some(bytes) = self.max_bytes {
            let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            // SQLite has no more than that many pages.
            let pages = (bytes / page.unsigned_abs().max(1)).clamp(1, u64::from(u32::MAX - 1));
            let set = format!("PRAGMA max_page_count = {pages}");
            connection.query_row(&set, [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// The rows of the table, which is made if there is none. A file that is there already is
    /// opened without writing to it.
    fn rows<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Rows<'c>> {
        Rows::new(connection, &self.table).or_else(|_| {
            connection.execute_batch(&self.table.creation())?;
            Rows::new(connection, &self.table)
        })
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
