//! Limits in Postgres.

use super::{
    load::{CALLERS, MANY, Row},
    ours::{OURS, Unbatched, limiter, refused},
    side_by_side::SideBySide,
};
use crate::harness::{Bound, Length};
use deadpool_postgres::{Manager, Pool};
use servers::postgres::Postgres;
use tokio::runtime::Builder;
use tokio_postgres::NoTls;
use tower_ratelimit::store::PostgresStore;

/// How the tests of the crate start one.
#[path = "../../../../tests/suite/servers"]
#[allow(dead_code)]
mod servers {
    mod freeze;
    pub mod postgres;
    mod script;
}

const CONNECTIONS: usize = 8;

const STATEMENT: &str = "one statement a decision";

/// The generic cell rate algorithm, and nothing else, by the numbers of the others. It returns no row
/// where it refuses.
const ONE_A_DECISION: &str = "
    INSERT INTO cells AS cell (key, tat)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + 1000000)
    ON CONFLICT (key) DO UPDATE SET tat = greatest(cell.tat + 1000000, excluded.tat)
    WHERE cell.tat + 2000000 - excluded.tat <= 3000000000000000
    RETURNING tat
";

const TABLE: &str = "
    CREATE UNLOGGED TABLE cells (key text PRIMARY KEY, tat bigint NOT NULL) WITH (fillfactor = 70)
";

pub fn run(length: Length) -> Vec<Bound> {
    let server = Postgres::start();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system has threads and timers");
    let rows = runtime.block_on(rows(&server.url()));
    let rows = SideBySide::measure("postgres", &runtime, rows, length);
    let mut bounds = vec![
        rows.bound([OURS, STATEMENT], 1, CALLERS, 3.0),
        rows.bound([OURS, STATEMENT], MANY, CALLERS, 2.0),
    ];
    bounds.extend(rows.bounds());
    bounds
}

async fn rows(url: &str) -> Vec<Row> {
    let store = PostgresStore::new(pool(url));
    store.create_tables().await.expect("the server is new");
    let pool = pool(url);
    let client = pool.get().await.expect("the server listens");
    client.batch_execute(TABLE).await.expect("the server is new");
    let mut rows = vec![
        limiter(1, CALLERS, &store),
        statement(1, CALLERS, &pool),
        limiter(MANY, CALLERS, &store),
        statement(MANY, CALLERS, &pool),
        limiter(MANY, 1, &store),
        Unbatched::new(&store).row(MANY, 1),
        statement(MANY, 1, &pool),
    ];
    rows.extend(refused(&store));
    rows
}

fn pool(url: &str) -> Pool {
    let config = url.parse().expect("the address is well formed");
    let pool = Pool::builder(Manager::new(config, NoTls)).max_size(CONNECTIONS);
    pool.build().expect("no time-outs")
}

/// What one would write oneself: each connection has it prepared.
fn statement(keys: u64, callers: u64, pool: &Pool) -> Row {
    let pool = pool.clone();
    Row::new(STATEMENT, keys, callers, move |key| {
        let pool = pool.clone();
        async move {
            let client = pool.get().await.expect("the server listens");
            let statement = client.prepare_cached(ONE_A_DECISION).await.expect("a statement");
            let key = format!("user:{key:06}");
            let row = client.query_opt(&statement, &[&key]).await.expect("the server answers");
            assert!(row.is_some());
        }
    })
}
