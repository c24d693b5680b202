//! Rate limits for tower services, reqwest clients and axum routes.
//!
//! Callers are served in the order in which they asked, at exact instants; a call that is dropped
//! gives back what it held; limits are shared by all clones. A limit is for everybody together or
//! for each key, and waits or refuses.
//!
//! # A client that waits its turn
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer};
//! # let client = service_fn(async |path: &str| Ok::<_, std::io::Error>(path.len()));
//!
//! // Ten a second, bursts of five; the rest wait in line.
//! let limit = RateLimitLayer::new(LeakyBucket::new(Rate::per_second(10)?).capacity(5)?);
//! let mut client = ServiceBuilder::new().layer(limit).service(client);
//! client.ready().await?.call("/").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # A server that refuses
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::get};
//! use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow, http::PeerIp};
//!
//! // Sixty a minute for each client address, 429 beyond that.
//! let limit = SlidingWindow::new(Rate::per_minute(60)?);
//! let app: Router = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(RateLimitLayer::per_key(PeerIp::default(), limit));
//! # }
//! # Ok::<(), tower_ratelimit::Invalid>(())
//! ```
//!
//! # No tower at all
//!
//! [`RateLimiter`], [`KeyedRateLimiter`] and [`JointLimiter`] (several limits, taken together or
//! not at all) are used as they are: `limiter.acquire().await?`, `limiter.try_acquire()?`,
//! `limiter.wrap(future).await?`. Threads need no runtime: `limiter.acquire().blocking_wait()?`.
//!
//! # Limits that processes share
//!
//! A [`StoredLimiter`] asks a [`store`]: an SQLite file for the processes of one host, Redis or
//! Postgres for many hosts. It stands wherever a [`KeyedRateLimiter`] may, and says beforehand what
//! happens when the store does not answer.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_ratelimit::{
//!     OnFailure, Rate, RateLimitLayer, SlidingWindow, StoredLimiter, store::MemoryStore,
//! };
//!
//! let store = MemoryStore::default(); // or RedisStore::open("redis://127.0.0.1/").await?
//! let limit = SlidingWindow::new(Rate::per_minute(60)?);
//! let limiter = StoredLimiter::builder("api", store, limit, OnFailure::Refuse).build()?;
//!
//! limiter.key("alice").try_acquire().await?;
//! let layer = RateLimitLayer::per_key(|request: &String| request.clone(), limiter);
//! # Ok(())
//! # }
//! ```
//!
//! # Which algorithm
//!
//! | to | take |
//! |---|---|
//! | allow bursts and bound the rate (the usual choice) | [`LeakyBucket`] |
//! | never exceed n in any window, with bursts of n | [`SlidingWindow`] |
//! | never exceed n in any window, in one word of state | [`LeakyBucket::any_window`] |
//! | allow about n in any window, in constant memory whatever n is | [`SlidingWindowCounter`] |
//! | count n in each window, as many vendors do | [`FixedWindow`] |
//! | save up permits that arrive several at a time | [`TokenBucket`] |
//! | spend a number of permits once | [`Quota`] |
//! | pace evenly and reach the full rate | [`BurstCompensating`] |
//! | keep a minimum gap whatever happens | [`Strict`] |
//! | bound how many calls run at the same time | [`Concurrency`] |
//! | run one call at a time, with a pause that counts from its end | [`Serialized`] |
//!
//! Whose kind is chosen in a file is [`AnyAlgorithm`]: read from a line such as `leaky bucket 10/s,
//! capacity 5` and, with the feature `serde`, from a table. A [`Builder`] reads the settings of its
//! limiter from the same table.
//!
//! # What it is not
//!
//! It is no service that others ask: limits live in this process, and a [`Snapshot`] takes them
//! through a restart, or in a [store] that you have. It does not adapt its limits to how the calls
//! fare, but for the pace of a client [after a pause](http::Heeding::adaptive).
//!
//! # How it differs
//!
//! From [`tower::limit::RateLimit`]: that one is not `Clone`, so that every clone, route and
//! connection ends up with a limit of its own or a `Buffer` before it; it admits twice its rate
//! across the edge of two windows; and it cannot refuse. From governor: callers who wait are
//! served in order, by absolute slots, and do not race for the next permit; the number of keys is
//! bounded without a clean-up task; and a permit that was taken and not used goes back.
//!
//! # How it is built
//!
//! In floors; each uses those below it, and a test sees to it. What most programs name stands at the
//! root of the crate, and the rest beside it in its module: states of algorithms, futures, tickets.
//!
//! | floor | modules | |
//! |---|---|---|
//! | 5 | `conformance` | says whether code of yours keeps the contracts |
//! | 5 | [`http`] | speaks HTTP: who asks, 429, clients |
//! | 4 | `layer`, `service`, [`per_key`], [`joint`], `reply`, `settle`, `seat`, `future` | speaks tower: waits in `poll_ready`, sends in `call` |
//! | 4 | `stream` | hands out items and bytes: each with its permit |
//! | 3 | [`limiter`] | asks: algorithm, state and line of waiters make a permit; batches make one round trip of many asks |
//! | 2 | [`store`], `clock`, `sync`, `key`, `error`, `events`, `meters` | remembers: one atomic step per ask, in memory, SQLite, Redis, Postgres |
//! | 1 | [`algorithm`], `decision`, `rate`, `nanos`, `span`, `given`, `invalid`, `config` | decides: pure functions of state, instant and ask |
//!
//! Three seams are open for code of your own:
//!
//! | of your own | implement | and get |
//! |---|---|---|
//! | an algorithm | [`Algorithm`] | waiting, keys, every layer; with a [`StoredState`](algorithm::StoredState) also every store |
//! | a database | [`store::Store`] | [`StoredLimiter`], with every algorithm |
//! | a service that decides elsewhere | [`Limiter`], [`KeyedLimiter`] | every layer |
//!
//! The kits in `conformance` (a feature, for tests) say whether they keep their contracts.
//!
//! # Features
//!
//! All are off by default, and each only adds: `axum` ([`http`] sources that need axum), `reqwest`
//! and `reqwest-middleware` (clients), `retry` (clients that try again), `tonic` (refusals that
//! gRPC clients understand), `tracing` (events), `metrics` (calls admitted, refused and waiting, batches
//! of stores), `serde` (configuration files: a [`Rate`] is a text, [each
//! algorithm](AnyAlgorithm) and the [`Builder`] of each limiter a table), `stream` (streams, sinks,
//! and bytes a second), `sqlite` (a store in an SQLite file, with the library of the system) and
//! `sqlite-bundled` (the same, with the library compiled in), `redis` (stores in Redis and Redis
//! Cluster), `postgres` (a store in Postgres), `quanta` and `coarse-clock` ([clocks](Clock) that are
//! cheaper to read), `full` (all of these), and for tests `conformance`
//! (whether algorithms, stores, limiters and layers of your own keep their contracts).
//!
//! # Watching
//!
//! How long a call stood in line is on its [permit](Permit::waited), with or without features.
//! Events and metrics carry the [name](Builder::name) of the limit as `limit`, and never a key.
//!
//! With `metrics`, every limiter counts calls, whatever their cost, for the recorder of the
//! `metrics` crate that is installed when the limiter is built: **install the recorder first**, or
//! the limiter is not watched. Limits of one name, or without any, add up in the same series.
//!
//! | metric | kind, unit | |
//! |---|---|---|
//! | `rate_limit_admitted_total` | counter, calls | used their permits, also those of no cost; a reservation that was dropped is not among them, a call that was refunded is |
//! | `rate_limit_refused_total` | counter, calls | were not let through, by `reason`: `used_up` (also when a time-out ended the wait), `exhausted`, `too_costly`, `queue_full`, `too_many_keys`, `cancelled`, `closed`, `unavailable` |
//! | `rate_limit_unenforced_total` | counter, calls | were refused, and let through all the same, by `reason` as above, `unknown_limit` and `not_together`; [`Enforcement`] only, whose limit counts them as refused, too. For the recorder that is installed then |
//! | `rate_limit_wait_seconds` | histogram, seconds | how long a call stood in line until it was let go; only of those that did |
//! | `rate_limit_waiting` | gauge, calls | stand in line now |
//! | `rate_limit_keys` | gauge, keys | are kept now; limits per key only |
//! | `rate_limit_evicted_total` | counter, keys | were forgotten as their state equalled that of a new one; limits per key only; of a [`StoredLimiter`] those that it [remembers](StoredBuilder::remember_refused) |
//! | `rate_limit_store_batches_total` | counter, batches | were sent to the store; [`StoredLimiter`]s only, as those below, and [`StoredJointLimiter`]s, whose series of stores have no `limit` |
//! | `rate_limit_store_batch_asks` | histogram, asks | how many travelled in a batch |
//! | `rate_limit_store_failures_total` | counter, asks | the store did not answer, by `reason`: `failed`, `too_late` (not within the [deadline](StoredBuilder::deadline)) |
//! | `rate_limit_store_spared_total` | counter, asks | were not sent, by `reason`: `remembered` (the store had refused such a call before), `left_alone` (it had failed [too often](StoredBuilder::breaker)), `too_many` (were [under way](StoredBuilder::max_asks)) |
//! | `rate_limit_store_fallbacks_total` | counter, calls | were decided without the store, as [`OnFailure`] says: `on_failure` is `refuse`, `admit` or `local` |
//! | `rate_limit_store_open_breakers` | gauge, shards | of the store that are left alone now; one where it has no [shards](store::Store::shard) |
//!
//! A call of several limits ([`JointLimiter`], [`StoredJointLimiter`]) counts for each of them: as
//! admitted, as waiting, and as refused where it was sent away. A refusal by one of them counts for
//! that one only.
//!
//! A call that is dropped in line counts as neither admitted nor refused. A request that does not
//! say for whom to limit it reaches no limit, and is in no metric.
//!
//! With `tracing`, these are the events:
//!
//! | level | event | fields |
//! |---|---|---|
//! | error | a request does not say for whom to limit it, as the service is set up wrongly | what to do about it |
//! | warn | the store has failed [too often](StoredBuilder::breaker), and is left alone | `limit`, unless of a [`StoredJointLimiter`], `error` |
//! | info | a store that was left alone answers again | `limit`, as above |
//! | info | somebody took hold of a limit | `limit`, `action`: `cancel`, `breach`, `end_breach`, `reset`, `close`, `set_algorithm`; `cancel_key` and `reset_key` for one of many keys; `set_percent` of an [`Enforcement`], without a `limit`; once for each of several limits |
//! | debug | a call was refused, also one that [does not say who it is from](Reason::Anonymous) | `limit`, `reason`, `cost`, `retry_after` |
//! | debug | a call that was refused was [let through](Enforcement) all the same | `limit`, `reason`, `cost`, `retry_after` |
//! | trace | a call got in line | `limit`, `cost`: of several limits the one that held it up then |
//! | trace | a call was let go that stood in line | `limit`, `cost`, `waited` |
//!
//! [`tower::limit::RateLimit`]: https://docs.rs/tower/latest/tower/limit/struct.RateLimit.html
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "conformance")]
pub mod conformance;

pub mod http;

mod layer;
mod service;
pub mod per_key;
pub mod joint;
mod reply;
mod settle;
mod seat;
mod future;
#[cfg(feature = "stream")]
pub mod stream;

pub mod limiter;

pub mod store;
mod clock;
mod sync;
mod key;
mod error;
#[cfg(feature = "tracing")]
mod events;
#[cfg(not(feature = "tracing"))]
#[path = "no_events.rs"]
mod events;
#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
#[path = "no_meters.rs"]
mod meters;

pub mod algorithm;
mod decision;
mod rate;
mod nanos;
mod span;
mod given;
mod invalid;
#[cfg(feature = "serde")]
mod config;

#[doc(inline)]
pub use algorithm::{
    Algorithm, AnyAlgorithm, BurstCompensating, Concurrency, FixedWindow, LeakyBucket, Quota,
    Serialized, SlidingWindow, SlidingWindowCounter, Strict, TokenBucket,
};
pub use clock::{Clock, ManualClock};
pub use decision::{Ask, Decision, Grant, Outcome, Take};
pub use error::{Error, RateLimited, Reason};
pub use future::ResponseFuture;
pub use invalid::Invalid;
#[doc(inline)]
pub use joint::{JointLayer, JointRules};
pub use key::Key;
pub use layer::RateLimitLayer;
#[doc(inline)]
pub use limiter::{
    AtCapacity, Builder, Enforcement, JointBuilder, JointLimiter, KeyedLimiter, KeyedRateLimiter,
    LimitId, Limiter, OnFailure, Patience, Permit, RateLimiter, Reservation, Standing,
    StoredBuilder, StoredJointBuilder, StoredJointLimiter, StoredLimiter, Terms,
};
pub use nanos::Nanos;
#[doc(inline)]
pub use per_key::{KeySource, MissingKey, OrShared, PerKeyLayer};
pub use rate::Rate;
pub use reply::{Boxed, Fail, Reply, Respond, WaitOnly};
pub use service::RateLimit;
pub use settle::{SettleLayer, Settling};
pub use store::{snapshot::Snapshot, table::KeptKey};

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
