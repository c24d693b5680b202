//! One random sequence for all stores: in Rust, Lua and SQL the same asks at the same times get the
//! same answers, in every field.
//!
//! Limits are those that servers keep to, in whole microseconds. What becomes of a record when its limit is
//! changed is the same everywhere, but where it is kept for longer: see [`SHORTENED`].

use super::{
    random::{Random, seed},
    walk::{
        CHANGING, LIMITS, MICROSECOND, SHORTENED, TODAY, Walk, agree_while_changed,
        agree_while_shortened,
    },
};
use crate::servers::{
    cluster::Cluster,
    folder::Folder,
    redis::{Server, unique},
};
use futures_util::{StreamExt, stream};
use redis::{aio::MultiplexedConnection, cluster_async::ClusterConnection};
use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Ask, Invalid, Nanos, Take,
    store::{
        Answer, Batch, MemoryStore, OptimisticRedisStore, Order, PostgresRecords, PostgresStore,
        RedisStore, SqliteStore, Store, StoreAsk, StoreError, StoreKey, StoredLimit,
    },
};

/// How many batches a walk asks.
const BATCHES: u32 = 25;

/// A store that asks all others the same, and fails when they do not agree.
#[derive(Clone)]
pub(super) struct Everywhere {
    memory: MemoryStore<AnyAlgorithm>,
    sqlite: SqliteStore,
    script: RedisStore<MultiplexedConnection>,
    optimistic: OptimisticRedisStore<MultiplexedConnection>,
    cluster: RedisStore<ClusterConnection>,
    functions: PostgresStore,
    decided_here: PostgresRecords,
}

/// The servers behind the stores.
#[derive(Clone)]
struct Servers {
    one: MultiplexedConnection,
    cluster: ClusterConnection,
}

/// The same for as long as they run.
pub(super) struct Running {
    server: Server,
    cluster: Cluster,
    folder: Folder,
}

impl Running {
    async fn start() -> Self {
        let (server, cluster) = tokio::join!(Server::start(), Cluster::start());
        Self { server, cluster, folder: Folder::new() }
    }

    async fn servers(&self) -> Servers {
        Servers { one: self.server.connect().await, cluster: self.cluster.connect().await }
    }
}

impl Everywhere {
    /// Stores on servers of their own.
    pub(super) async fn start() -> (Self, Running) {
        let running = Running::start().await;
        (Self::new(running.servers().await, &running.folder).await, running)
    }

    /// Nothing is in there yet. Walks that shared it would forget for each other what equals new by their
    /// own times.
    async fn new(servers: Servers, folder: &Folder) -> Self {
        let redis = || RedisStore::new(servers.one.clone()).namespace(unique());
        let postgres = async || super::postgres::store(&unique().replace('-', "_")).await;
        Self {
            memory: MemoryStore::default(),
            sqlite: folder.open(),
            script: redis(),
            optimistic: redis().optimistic(),
            cluster: RedisStore::on_cluster(servers.cluster).namespace(unique()),
            functions: postgres().await,
            decided_here: postgres().await.decided_here(),
        }
    }
}

/// What a store that was asked the same answered instead.
fn compare(
    store: &str,
    answers: Result<Vec<Answer>, StoreError>,
    expected: &[Answer],
) -> Result<(), StoreError> {
    let answers = answers.map_err(|error| StoreError::new(format!("{store} fails: {error:?}")))?;
    if answers.len() != expected.len() {
        let (many, asked) = (answers.len(), expected.len());
        return Err(StoreError::new(format!("{store} has {many} answers to {asked} orders")));
    }
    let differs = answers.iter().zip(expected).position(|(answer, expected)| answer != expected);
    differs.map_or(Ok(()), |place| {
        let (answer, expected) = (answers[place], expected[place]);
        let both = format!("{answer:?}, and the memory {expected:?}");
        Err(StoreError::new(format!("order {place}: {store} answers {both}")))
    })
}

impl Store<AnyAlgorithm> for Everywhere {
    async fn decide(&self, batch: Batch<AnyAlgorithm>) -> Result<Vec<Answer>, StoreError> {
        let now = batch.now().expect("walks set the time");
        let same = || Batch::new(batch.orders().to_vec()).at(now);
        let expected = self.memory.decide(same()).await?;
        let (sqlite, script, optimistic, cluster, functions, decided_here) = tokio::join!(
            self.sqlite.decide(same()),
            self.script.decide(same()),
            self.optimistic.decide(same()),
            self.cluster.decide(same()),
            self.functions.decide(same()),
            self.decided_here.decide(same()),
        );
        compare("SQLite", sqlite, &expected)?;
        compare("Redis", script, &expected)?;
        compare("Redis, decided here,", optimistic, &expected)?;
        compare("Redis Cluster", cluster, &expected)?;
        compare("Postgres", functions, &expected)?;
        compare("Postgres, decided here,", decided_here, &expected)?;
        Ok(expected)
    }

    /// In whole microseconds, as those keep to it that count so.
    fn keep_to(&self, algorithm: AnyAlgorithm) -> Result<AnyAlgorithm, Invalid> {
        let algorithm = Store::<AnyAlgorithm>::keep_to(&self.script, algorithm)?;
        let kept = Store::<AnyAlgorithm>::keep_to(&self.functions, algorithm.clone())?;
        assert_eq!(kept, algorithm);
        Ok(kept)
    }
}

/// Walks through a limit, beside two others.
async fn agree(mut store: Everywhere, line: &str, seed: u64) {
    let mut random = Random::new(seed);
    let mut other = || LIMITS[random.below(LIMITS.len() as u64) as usize];
    let limits = [("first", line), ("second", other()), ("third", other())];
    let start = if random.one_in(4) { Nanos::ZERO } else { TODAY };
    let mut walk = Walk::new(&store, &limits, start, MICROSECOND, seed);
    walk.agree(&mut store, BATCHES, async |_, _, _| false).await;
}

/// What a walk goes through.
enum Through {
    One(&'static str),
    Changing([&'static str; 5]),
    Shortened([&'static str; 5]),
}

impl Through {
    async fn agree(self, store: Everywhere, seed: u64) {
        let same = seed as usize;
        match self {
            Self::One(line) => agree(store, line, seed).await,
            Self::Changing(lines) => agree_while_changed(store, &lines, MICROSECOND, same).await,
            Self::Shortened(lines) => agree_while_shortened(store, &lines, MICROSECOND, same).await,
        }
    }
}

/// A walk that fails tells its seed, which is the one of them all and two digits more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sequence_gets_the_same_answers_in_all_stores() {
    let running = Running::start().await;
    let servers = running.servers().await;
    let ways = LIMITS.into_iter().map(Through::One);
    // Of a fixed window that becomes longer the same holds as of those in `SHORTENED`.
    let changing = CHANGING.into_iter().filter(|lines| !lines[0].starts_with("fixed window"));
    let ways = ways.chain(changing.map(Through::Changing));
    let ways = ways.chain(SHORTENED.into_iter().map(Through::Shortened));
    let walks = ways.zip(seed() * 100..).map(async |(through, seed)| {
        let folder = Folder::new();
        through.agree(Everywhere::new(servers.clone(), &folder).await, seed).await;
    });
    stream::iter(walks).buffer_unordered(4).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_has_left_the_window_is_not_renewed() {
    let (store, _running) = Everywhere::start().await;
    let algorithm = store.keep_to("sliding window 3/20us".parse().unwrap()).unwrap();
    let limit = Arc::new(StoredLimit { name: "window".into(), algorithm });
    let ask = async |microseconds: u64, ask| {
        let (limit, key) = (Arc::clone(&limit), StoreKey::new("a"));
        let order = Order { limit, key, ask: StoreAsk::Ask(ask), is_with_previous: false };
        let now = TODAY + Nanos::new(1000 * microseconds);
        let answers = store.decide(Batch::new(vec![order]).at(now)).await.unwrap();
        answers[0].decision.grant().unwrap()
    };
    let taken = ask(0, Ask::Take(Take::fresh(1))).await;
    let renewed = ask(19, Ask::Renew(taken)).await;
    assert_eq!(renewed.at, taken.at + MICROSECOND * 19);
    // It is still in the log, as nobody has looked since.
    assert_eq!(ask(39, Ask::Renew(renewed)).await, renewed);
}
