//! A store in Postgres.

mod connection;
mod task;
mod table;
mod request;
mod takes;
mod streak;
mod numbers;
mod clean_up;
mod records;

use super::{Answer, Batch, Store, StoreError};
use crate::{algorithm::Scripted, invalid::Invalid, nanos::Nanos};
use clean_up::CleanUp;
use deadpool_postgres::Pool;
pub use records::PostgresRecords;
use request::Request;
use std::{fmt, sync::Arc};
use streak::Streak;
use table::Table;
use takes::{Takes, Told};
use task::in_a_task;

/// The most entries of a log, which is read and written as a whole.
const LONGEST_LOG: u64 = 10_000;

/// A [`Store`] in a table of Postgres, for limits that many processes share.
///
/// A batch is one statement: one round trip, whatever it asks. A refusal reads, and neither writes
/// nor takes a lock. The clock of the server counts, in whole microseconds: intervals and periods
/// are rounded up to them. Where that clock is set back nothing is granted twice: a key in use is refused
/// until it shows again what it showed before. Who cannot wait for that has the key begin anew, by
/// [`reset`](crate::limiter::StoredKey::reset).
///
/// It runs any [scripted](Scripted) algorithm; for others see [`decided_here`](Self::decided_here).
/// A log, of [`SlidingWindow`](crate::SlidingWindow), [`Serialized`](crate::Serialized) or
/// [`Concurrency`](crate::Concurrency), has an entry for each call and 10,000 at most.
///
/// The pool is yours: its size, its time-outs, TLS. Nothing is prepared on a connection and nothing
/// is left on it, so a pooler that hands out connections for each transaction may stand in between.
/// Whoever asks does so in a task of its own, so that a caller who is not polled any more keeps no connection
/// from others. What the pool waits for a connection, a call waits, too: give it a
/// [time-out](deadpool_postgres::Timeouts).
///
/// The table is made by [`create_tables`](Self::create_tables), which each process may call when it
/// starts, or once a user who may create tables. It is not written to the log of the server, so
/// that a take costs little: what a crash of the server forgets is one burst of each key at most. A
/// [logged](Self::logged) table outlives it, and is copied to replicas.
///
/// Records that equal new ones are forgotten in passing, two for each one that may have been added and
/// for each batch that grants anything, or all of them by [`forget_new`](Self::forget_new).
///
/// ```no_run
/// use deadpool_postgres::{Config, Runtime};
/// use std::time::Duration;
/// use tokio_postgres::NoTls;
/// use tower_ratelimit::{OnFailure, Rate, StoredLimiter, TokenBucket, store::PostgresStore};
///
/// # async fn shared() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::new();
/// config.url = Some("postgres://localhost/app".to_owned());
/// let pool = config
///     .builder(NoTls)?
///     .wait_timeout(Some(Duration::from_millis(200)))
///     .runtime(Runtime::Tokio1)
///     .build()?;
/// let store = PostgresStore::new(pool).table("limits.api")?;
/// store.create_tables().await?;
///
/// let limit = TokenBucket::new(Rate::per_minute(60)?);
/// let limiter = StoredLimiter::builder("logins", store, limit, OnFailure::Refuse).build()?;
/// limiter.key("alice").try_acquire().await?;
/// # Ok(())
/// # }
/// ```
///
/// Two processes and one limit: `examples/postgres_shared.rs`.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
    table: Arc<Table>,
    is_logged: bool,
    clean_up: Arc<CleanUp>,
    streak: Arc<Streak>,
}

impl PostgresStore {
    /// Creates a store in the table `rate_limits` of the first schema in the search path.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let (table, clean_up, streak) = (Arc::default(), Arc::default(), Arc::default());
        Self { pool, table, is_logged: false, clean_up, streak }
    }

    /// Sets the name of the table, `table` or `schema.table`. The names of its functions begin with
    /// that of the table. The schema has to exist.
    ///
    /// # Errors
    ///
    /// [`Invalid`] unless each name is 1 to 32 lower-case letters, digits and underscores and does
    /// not begin with a digit.
    pub fn table(self, name: &str) -> Result<Self, Invalid> {
        let table = Arc::new(Table::named(name)?);
        Ok(Self { table, is_logged: self.is_logged, ..Self::new(self.pool) })
    }

    /// Has the server log the table, where it has yet to be created: it outlives a crash and is
    /// copied to replicas, and a take costs several times as much.
    #[must_use]
    pub fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// Creates the table where it does not exist, and the functions that decide. Any number of
    /// processes may do that at the same time, and while limits are asked. After an update of this
    /// crate it has to be done again: the new functions replace the old ones, and processes that
    /// have not been updated yet go on to call them.
    ///
    /// It takes the right to create in the schema. To ask, the right to read and write the table is
    /// enough.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the server cannot be reached or does not allow it.
    pub async fn create_tables(&self) -> Result<(), StoreError> {
        connection::run(&self.pool, &self.table.creation(self.is_logged)).await
    }

    /// Forgets the records that equal new ones, and returns how many. It changes no answer.
    ///
    /// It goes through the table in small steps, each a statement of its own, and passes over what
    /// others are about to change. What is forgotten in passing is enough as long as limits are
    /// asked.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the server does not answer.
    pub async fn forget_new(&self) -> Result<u64, StoreError> {
        clean_up::all(&self.pool, &self.table).await
    }

    /// Returns a store in the same table for algorithms that the database cannot run, your own:
    /// they are decided in this process.
    ///
    /// ```
    /// use tower_ratelimit::{Algorithm, store::{PostgresStore, Store}, algorithm::StoredState};
    ///
    /// fn of_my_own<A>(store: &PostgresStore) -> impl Store<A>
    /// where
    ///     A: Algorithm<State: StoredState>,
    /// {
    ///     store.decided_here()
    /// }
    /// ```
    #[must_use]
    pub fn decided_here(&self) -> PostgresRecords {
        PostgresRecords(self.clone())
    }

    /// Has the database decide a batch.
    async fn run<A: Scripted>(&self, batch: &Batch<A>) -> Result<Vec<Answer>, StoreError> {
        if batch.orders().is_empty() {
            return Ok(Vec::new());
        }
        let request = Request::new(batch);
        let takes = Takes::new(&request);
        let mut parameters = Vec::from(request.parameters());
        parameters.extend(takes.iter().flat_map(Takes::parameters));
        let statement = match &takes {
            Some(_) if self.streak.is_long() => &self.table.grant,
            Some(_) => &self.table.take,
            None => &self.table.decide,
        };
        let row = connection::ask(&self.pool, statement, &parameters).await;
        let numbers: Vec<Option<i64>> = row
            .and_then(|row| row.try_get(0).map_err(StoreError::new))
            .inspect_err(|_| self.streak.end())?;
        let told = takes::told(&request, &numbers);
        let spelled_out = told.as_ref().map_or(&numbers, |told| &told.numbers);
        let answers = numbers::answers(batch, spelled_out)?;
        if takes.is_some() {
            self.note(told.as_ref(), &answers);
        }
        if batch.now().is_none() {
            // The long way does not say how many records are new: at most one for each grant.
            let granted = || answers.iter().filter(|answer| answer.is_granted()).count();
            let added = told.map_or_else(granted, |told| told.added);
            self.clean_up.pass(&self.pool, &self.table, added).await;
        }
        Ok(answers)
    }

    /// Notes whether the quickest way could have decided these, of which a quick way told this.
    fn note(&self, told: Option<&Told>, answers: &[Answer]) {
        let is_let_go = |answer: &Answer| answer.is_granted() && answer.wait == Nanos::ZERO;
        match (told, answers.iter().all(is_let_go)) {
            (Some(told), true) if told.are_known => self.streak.go_on(),
            // Others may have been in the way.
            (None, true) => self.streak.pause(),
            _ => self.streak.end(),
        }
    }
}

/// Whatever a database can run by itself.
impl<A: Scripted> Store<A> for PostgresStore {
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        let store = self.clone();
        in_a_task(batch.is_in_a_task(), async move { store.run(&batch).await }).await
    }

    fn keep_to(&self, algorithm: A) -> Result<A, Invalid> {
        let algorithm = algorithm.in_microseconds()?;
        let log = match (algorithm.kind(), &algorithm.parameters()[..]) {
            ("sliding_window", [.., permits, _]) => *permits,
            ("serialized" | "concurrency", [permits, ..]) => *permits,
            _ => 0,
        };
        match log > LONGEST_LOG {
            true => {
                let allowed = "10,000 or less: each is an entry in a log";
                Err(Invalid::new("permits", log, allowed))
            }
            false => Ok(algorithm),
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.table).finish_non_exhaustive()
    }
}
