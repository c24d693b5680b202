//! Asking over a connection of the pool.

use crate::store::StoreError;
use deadpool_postgres::{Client, Pool, Timeouts};
use std::{error, fmt, time::Duration};
use tokio_postgres::{
    Error, Row,
    error::SqlState,
    types::{ToSql, Type},
};

/// How often a batch is asked that others get in the way of. Each time it was undone as a whole.
const TRIES: usize = 5;

/// A parameter and its type: told beforehand, nothing has to be prepared.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Asks a statement that answers with one row.
pub(super) async fn ask(
    pool: &Pool,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Row, StoreError> {
    Lent::from(pool).await?.ask(statement, parameters).await
}

/// Asks a statement that does as it is told, and says whether nobody else was in the way.
pub(super) async fn try_once(
    pool: &Pool,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<bool, StoreError> {
    let lent = Lent::from(pool).await?;
    let result = match lent.client().query_typed_one(statement, parameters).await {
        Err(error) if is_in_the_way(&error) => Ok(false),
        result => result.map(|_| true),
    };
    lent.end(result)
}

/// Runs statements, all of them or none.
pub(super) async fn run(pool: &Pool, statements: &str) -> Result<(), StoreError> {
    let lent = Lent::from(pool).await?;
    let result = lent.client().batch_execute(statements).await;
    lent.end(result)
}

/// A connection in the middle of a question. When nobody waits for the answer any more, it is
/// closed and not given back: whoever got it next would wait for that answer first.
pub(super) struct Lent(Option<Client>);

impl Lent {
    pub(super) async fn from(pool: &Pool) -> Result<Self, StoreError> {
        pool.get().await.map(|client| Self(Some(client))).map_err(StoreError::new)
    }

    /// Whatever is idle, without waiting for others to give something back.
    pub(super) async fn idle(pool: &Pool) -> Result<Self, StoreError> {
        let timeouts = Timeouts { wait: Some(Duration::ZERO), ..pool.timeouts() };
        let lent = pool.timeout_get(&timeouts).await;
        lent.map(|client| Self(Some(client))).map_err(StoreError::new)
    }

    /// Asks a statement that answers with one row.
    pub(super) async fn ask(
        self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Row, StoreError> {
        for _ in 1..TRIES {
            match self.client().query_typed_one(statement, parameters).await {
                Err(error) if is_in_the_way(&error) => {}
                result => return self.end(result),
            }
        }
        let result = self.client().query_typed_one(statement, parameters).await;
        self.end(result)
    }

    fn client(&self) -> &Client {
        self.0.as_ref().expect("it is given back at the end only")
    }

    /// Gives the connection back to the pool, which finds out whether it still works.
    fn end<T>(mut self, result: Result<T, Error>) -> Result<T, StoreError> {
        self.0 = None;
        result.map_err(failure)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Client::take(client));
        }
    }
}

/// Whether others wanted the same at the same time.
fn is_in_the_way(error: &Error) -> bool {
    let states = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    error.code().is_some_and(|code| states.contains(code))
}

fn failure(error: Error) -> StoreError {
    let states =
        [SqlState::UNDEFINED_FUNCTION, SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
    match error.code() {
        Some(code) if states.contains(code) => StoreError::new(NotCreated(error)),
        _ => StoreError::new(error),
    }
}

/// There is no table, or no function.
#[derive(Debug)]
struct NotCreated(Error);

impl fmt::Display for NotCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the table of the limits is not there: call `PostgresStore::create_tables`")
    }
}

impl error::Error for NotCreated {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.0)
    }
}
