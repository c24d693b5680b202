//! Limits in Redis.

use super::{
    load::{CALLERS, MANY, Row},
    ours::{OURS, Unbatched, limiter, refused},
    server::Server,
    side_by_side::SideBySide,
};
use crate::harness::{Bound, Length};
use redis::{Script, aio::MultiplexedConnection};
use std::{env, sync::Arc, time::Duration};
use tokio::runtime::Builder;
use tower_ratelimit::store::RedisStore;

/// Where the module redis-cell is, if anywhere.
const CELL: &str = "REDIS_CELL";

const SCRIPT: &str = "one script call a decision";
const PEERS: [&str; 2] = ["pacekeeper", "trypema, absolute"];

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

pub fn run(length: Length) -> Vec<Bound> {
    let server = Server::redis(env::var_os(CELL));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system has threads and timers");
    let connection = runtime.block_on(connect(&server));
    let rows = runtime.block_on(rows(&url(&server), &connection));
    let rows = SideBySide::measure("redis", &runtime, rows, length);
    let mut bounds = vec![
        rows.bound([OURS, SCRIPT], 1, CALLERS, 4.0),
        rows.bound([OURS, SCRIPT], MANY, CALLERS, 1.6),
    ];
    bounds.extend(PEERS.map(|peer| rows.bound([OURS, peer], MANY, CALLERS, 2.0)));
    bounds.extend(rows.bounds());
    bounds
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
    let store = RedisStore::new(connection.clone());
    let mut rows = vec![
        limiter(1, CALLERS, &store),
        script(1, CALLERS, connection),
        limiter(MANY, CALLERS, &store),
        script(MANY, CALLERS, connection),
        pacekeeper(url).await,
        trypema(url).await,
        limiter(MANY, 1, &store),
        Unbatched::new(&store).row(MANY, 1),
        script(MANY, 1, connection),
    ];
    match env::var_os(CELL) {
        Some(_) => rows.push(redis_cell(connection)),
        None => println!("redis-cell is not shown: {CELL} names no libredis_cell.so.\n"),
    }
    rows.extend(refused(&store));
    rows
}

/// A module of the server. It is shown, and nothing is promised over it.
fn redis_cell(connection: &MultiplexedConnection) -> Row {
    let connection = connection.clone();
    Row::new("redis-cell", MANY, CALLERS, move |key| {
        let mut connection = connection.clone();
        async move {
            let mut throttle = redis::cmd("CL.THROTTLE");
            // A burst of a thousand million, and then a permit a microsecond.
            throttle.arg(format!("cell:{key:06}")).arg(1_000_000_000).arg(1_000_000).arg(1);
            let answer: Vec<i64> =
                throttle.query_async(&mut connection).await.expect("the module is loaded");
            assert_eq!(answer.first(), Some(&0));
        }
    })
}
