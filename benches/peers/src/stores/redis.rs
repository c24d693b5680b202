//! Limits in Redis.

use super::{
    load::{self, Row},
    ours::{OURS, UNBATCHED, Unbatched, endless},
    server::Server,
};
use crate::harness::{Bound, Length, over};
use redis::{Script, aio::MultiplexedConnection};
use std::{future::ready, sync::Arc, time::Duration};
use tokio::runtime::Builder;
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, OnFailure, Rate, Reason, StoredLimiter, store::RedisStore,
};

const MANY: u64 = 1000;
const CALLERS: u64 = 64;

/// One script call for each decision: the generic cell rate algorithm, and nothing else.
const ONE_A_CALL: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local new = tat + ARGV[1]
local ahead = new - now
if ahead > tonumber(ARGV[2]) then return {0, ahead - ARGV[2]} end
redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil(ahead / 1000))
return {1, 0}
";

type Limiter = StoredLimiter<LeakyBucket, RedisStore<MultiplexedConnection>>;

pub fn run(length: Length) -> Vec<Bound> {
    let server = Server::redis();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system has threads and timers");
    let connection = runtime.block_on(connect(&server));
    let mut rows = runtime.block_on(rows(&url(&server), &connection));
    println!("## stores: redis\n");
    let samples = load::measure(&runtime, &mut rows, length);
    load::print(&rows, &samples);
    bounds(&rows, &samples)
}

async fn connect(server: &Server) -> MultiplexedConnection {
    let client = redis::Client::open(url(server)).expect("the address is well formed");
    // Whoever waits for long counts as well.
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
    connection.expect("the server listens")
}

fn url(server: &Server) -> String {
    format!("redis://127.0.0.1:{}/", server.port)
}

/// Used up by one call, for the rest of the run.
fn used_up() -> LeakyBucket {
    LeakyBucket::new(Rate::per_day(1).expect("a day each")).capacity(1).expect("one")
}

fn limiter(connection: &MultiplexedConnection, name: &'static str, bucket: LeakyBucket) -> Limiter {
    let store = RedisStore::new(connection.clone());
    let builder = StoredLimiter::builder(name, store, bucket, OnFailure::Refuse);
    builder.build().expect("the store keeps to a bucket")
}

fn ours(name: &'static str, keys: u64, callers: u64, limiter: Limiter) -> Row {
    Row::new(name, keys, callers, move |key| {
        let limit = limiter.key(&key);
        async move {
            limit.try_acquire().await.expect("there are permits");
        }
    })
}

fn refused(name: &'static str, limiter: Limiter) -> Row {
    Row::new(name, MANY, CALLERS, move |key| {
        let limit = limiter.key(&key);
        async move {
            // The first call of each key passes.
            if let Err(refusal) = limit.try_acquire().await {
                assert_eq!(refusal.reason(), Reason::UsedUp);
            }
        }
    })
}

fn script(keys: u64, callers: u64, connection: &MultiplexedConnection) -> Row {
    let script = Arc::new(Script::new(ONE_A_CALL));
    let connection = connection.clone();
    Row::new(SCRIPT, keys, callers, move |key| {
        let (script, mut connection) = (Arc::clone(&script), connection.clone());
        async move {
            let mut call = script.key(format!("script:{key:06}"));
            call.arg(1_000_000).arg(3_000_000_000_000_000_u64);
            let (passed, _): (i64, i64) =
                call.invoke_async(&mut connection).await.expect("the server answers");
            assert_eq!(passed, 1);
        }
    })
}

/// A bucket that is filled up by a thousand permits a microsecond.
async fn pacekeeper(url: &str) -> Row {
    use pacekeeper::{bucket, common::Decision};
    let config = bucket::BucketConfig::new(4_000_000_000, 1_000_000_000, Duration::from_secs(1));
    let config = config.expect("a bucket");
    let bucket = bucket::RedisTokenBucket::connect(url, "b", config).await;
    let bucket: Arc<bucket::RedisTokenBucket> = Arc::new(bucket.expect("the server listens"));
    Row::new("pacekeeper", MANY, CALLERS, move |key| {
        let bucket = Arc::clone(&bucket);
        async move {
            let decision = bucket.try_acquire(&format!("user:{key:06}")).await;
            assert!(matches!(decision.expect("the server answers"), Decision::Allowed { .. }));
        }
    })
}

/// Its exact strategy, with the window that it has unless told otherwise.
async fn trypema(url: &str) -> Row {
    use trypema::{RateLimit, RateLimitDecision, RateLimiterBuilder as _, redis};
    let client = ::redis::Client::open(url).expect("the address is well formed");
    let connection = client.get_connection_manager().await.expect("the server listens");
    let limiter = redis::RedisRateLimiterProvider::builder(connection).build();
    let limiter = limiter.expect("a window");
    let rate = RateLimit::per_second_or_panic(1e9);
    Row::new("trypema, absolute", MANY, CALLERS, move |key| {
        let (limiter, rate) = (Arc::clone(&limiter), rate);
        async move {
            let key = redis::RedisKey::try_from(format!("user_{key:06}")).expect("a plain word");
            let decision = limiter.absolute().inc(&key, &rate, 1).await;
            assert!(matches!(decision.expect("the server answers"), RateLimitDecision::Allowed));
        }
    })
}

async fn rows(url: &str, connection: &MultiplexedConnection) -> Vec<Row> {
    let remembering = RedisStore::new(connection.clone());
    let remembering =
        StoredLimiter::builder("remembering", remembering, used_up(), OnFailure::Refuse);
    let remembering = remembering.remember_refused(10_000).expect("not zero").build();
    let remembering = remembering.expect("the store keeps to a bucket");
    let in_memory = KeyedRateLimiter::new(used_up());
    let in_memory = Row::new(IN_MEMORY, MANY, CALLERS, move |key| {
        drop(in_memory.key(&key).try_acquire());
        ready(())
    });
    vec![
        ours(OURS, 1, CALLERS, limiter(connection, "hot", endless())),
        script(1, CALLERS, connection),
        ours(OURS, MANY, CALLERS, limiter(connection, "many", endless())),
        script(MANY, CALLERS, connection),
        pacekeeper(url).await,
        trypema(url).await,
        ours(OURS, MANY, 1, limiter(connection, "alone", endless())),
        Unbatched::new(&RedisStore::new(connection.clone())).row(MANY, 1),
        script(MANY, 1, connection),
        refused(REFUSED, limiter(connection, "refused", used_up())),
        refused(REMEMBERED, remembering),
        in_memory,
    ]
}

const SCRIPT: &str = "one script call a decision";
const REFUSED: &str = "ours, refused";
const REMEMBERED: &str = "ours, refused, remembered";
const IN_MEMORY: &str = "ours in memory, refused";
const PEERS: [&str; 2] = ["pacekeeper", "trypema, absolute"];

fn bounds(rows: &[Row], samples: &[Vec<f64>]) -> Vec<Bound> {
    let rates = |name: &str, keys, callers| {
        let is_it = |row: &Row| (row.name, row.keys, row.callers) == (name, keys, callers);
        &samples[rows.iter().position(is_it).expect("there is this row")]
    };
    let bound = |row: &str, other: &str, keys, callers, least| {
        let name = format!("stores: redis, {row} over {other}, {keys} keys, {callers} callers");
        let ratios = over(rates(row, keys, callers), rates(other, keys, callers));
        Bound::new(name, &ratios, least..=f64::INFINITY)
    };
    let mut bounds =
        vec![bound(OURS, SCRIPT, 1, CALLERS, 4.0), bound(OURS, SCRIPT, MANY, CALLERS, 1.6)];
    bounds.extend(PEERS.map(|peer| bound(OURS, peer, MANY, CALLERS, 2.0)));
    bounds.extend([
        bound(OURS, UNBATCHED, MANY, 1, 0.85),
        bound(REFUSED, OURS, MANY, CALLERS, 0.95),
        bound(REMEMBERED, IN_MEMORY, MANY, CALLERS, 1.0 / 3.0),
    ]);
    bounds
}
