//! Limits in an SQLite file: they outlive the process, and are shared by all of a host.

mod builder;
mod table;
mod rows;
mod packed;
mod remembered;
mod round;
mod tidying;
mod asked;
mod desk;
mod time;

pub use builder::{SqliteBuilder, Synchronous};

use super::{Answer, Batch, Store, StoreError};
use crate::algorithm::{Algorithm, StoredState};
use asked::{Ask, Asked};
use std::{fmt, path::Path, sync::mpsc::Sender};
use tokio::sync::oneshot;

/// A [`Store`] in an SQLite file, for the processes of one host.
///
/// The limits outlive their processes. Any number of processes may have the file open, each by one
/// store or several, and together they admit what the limit says. What was granted is not forgotten
/// when a process is killed; after a loss of power see [`Synchronous`].
///
/// It is a handle: clones share one connection and the thread that has it. The thread ends, and
/// closes the file, when the last of them is gone. All that is asked while the thread is busy is
/// decided in one transaction, and what is refused or only looked at needs none that writes: it
/// goes on when the disk is full, or another process does not let go of the file.
///
/// # Time
///
/// The time is that of the clock on the wall. It never goes back: where that clock was set back, or
/// the file comes from a host whose clock is ahead, time goes on from the latest instant in the
/// file, at its usual pace, until the clock has caught up. The file keeps how far it is ahead, so
/// that time goes on for processes that come and go, too. A limit is never exceeded by that, and
/// no key is locked out; only windows aligned to the epoch begin so much earlier. A clock that is
/// set forward lets time pass.
///
/// # The file
///
/// Two tables, named [as told](SqliteBuilder::table), and others as you like. A row is what is
/// known of a key of a limit. Rows that equal new are deleted in passing, a few for each one that
/// is added or grows. The rows that were asked for last are remembered, a few megabytes of them, for
/// as long as no other process writes to the file. It has to be on a disk of the host itself: what
/// it needs is not to be had over a network.
///
/// # The library
///
/// Your build finds the SQLite library of the system, unless the feature `sqlite-bundled`, or
/// another crate's use of `rusqlite` or `sqlx`, compiles it in.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{
///     OnFailure, Rate, SlidingWindow, StoredLimiter, store::SqliteStore,
/// };
///
/// let folder = std::env::temp_dir().join(format!("limits of {}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// let store = SqliteStore::open(folder.join("limits.sqlite"))?;
/// let limit = SlidingWindow::new(Rate::per_day(100)?);
/// let limiter = StoredLimiter::builder("mails", store, limit, OnFailure::Refuse).build()?;
/// limiter.key("example.org").try_acquire().await?;
/// # drop(limiter);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
///
/// Four processes and one file: `examples/sqlite_processes.rs`.
#[derive(Clone)]
pub struct SqliteStore {
    asks: Sender<Box<dyn Ask>>,
}

impl SqliteStore {
    /// Opens a file, and creates it if there is none.
    ///
    /// It waits for the disk, and for processes that create the same file: a few milliseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be opened, or is no file of such limits.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder().open(path)
    }

    /// Returns a builder, to open a file with other settings than the defaults.
    pub fn builder() -> SqliteBuilder {
        SqliteBuilder::default()
    }
}

impl<A> Store<A> for SqliteStore
where
    A: Algorithm,
    A::State: StoredState,
{
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::new("the thread of the file has ended");
        self.asks.send(Box::new(Asked::new(batch, answer))).map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}
