//! Limits in an SQLite file.

mod agreement;
mod failures;
mod files;
mod forgetting;
mod keys;
mod processes;
mod remembering;
mod writing;

use crate::servers::folder::Folder;
use rusqlite::Connection;
use std::{
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};
use tower_ratelimit::{
    Algorithm, Ask, Key, Outcome, Quota, Take,
    algorithm::StoredState,
    store::{
        Answer, Batch, Order, SqliteStore, Store, StoreAsk, StoreError, StoreKey, StoredLimit,
    },
};

/// Waits for a future on this thread, without any runtime.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

type Limit<A> = Arc<StoredLimit<A>>;

fn limit<A>(name: &str, algorithm: A) -> Limit<A> {
    Arc::new(StoredLimit { name: name.into(), algorithm })
}

/// So many permits, and no more.
fn quota(permits: u32) -> Limit<Quota> {
    limit("quota", Quota::new(permits).unwrap())
}

/// A batch of one order.
fn batch<A>(limit: &Limit<A>, key: &(impl Key + ?Sized), ask: Ask) -> Batch<A> {
    let (limit, key, ask) = (Arc::clone(limit), StoreKey::new(key), StoreAsk::Ask(ask));
    Batch::new(vec![Order { limit, key, ask, is_with_previous: false }])
}

async fn ask<A>(
    store: &SqliteStore,
    limit: &Limit<A>,
    key: &(impl Key + ?Sized),
    ask: Ask,
) -> Result<Answer, StoreError>
where
    A: Algorithm<State: StoredState>,
{
    store.decide(batch(limit, key, ask)).await.map(|answers| {
        assert_eq!(answers.len(), 1);
        answers[0]
    })
}

/// Takes permits, and says whether there were any.
fn take<A>(
    store: &SqliteStore,
    limit: &Limit<A>,
    key: &(impl Key + ?Sized),
    cost: u32,
) -> Result<bool, StoreError>
where
    A: Algorithm<State: StoredState>,
{
    let answer = ask(store, limit, key, Ask::Take(Take::fresh(cost)));
    wait(answer).map(|answer| answer.is_granted())
}

/// How many permits are left.
fn remaining<A>(
    store: &SqliteStore,
    limit: &Limit<A>,
    key: &(impl Key + ?Sized),
) -> Result<u32, StoreError>
where
    A: Algorithm<State: StoredState>,
{
    let answer = ask(store, limit, key, Ask::Peek(Take::fresh(0)));
    wait(answer).map(|answer| answer.decision.remaining)
}

/// What SQLite said that made a store fail.
fn code(error: &StoreError) -> Option<rusqlite::ErrorCode> {
    let cause = std::error::Error::source(error).unwrap();
    cause.downcast_ref::<rusqlite::Error>().unwrap().sqlite_error_code()
}

/// Looks at a file beside the store.
fn connect(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn count(connection: &Connection, table: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM {table}");
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// How long until a refused take would be granted.
fn later(answer: &Answer) -> Option<std::time::Duration> {
    match answer.decision.outcome {
        Outcome::Later(wait) => Some(wait.into()),
        _ => None,
    }
}
