//! A limit for each key, as each crate has it.

use super::{
    keyed::{BURST, Keyed, PERIOD, Row, keyed},
    kind::Kind,
};
use crate::{clocks, memory::one::trypema_local};
use axum_gcra::gcra as axum;
use governor::{Quota, RateLimiter};
use limitador::limit::{Context as Values, Limit as Definition};
use pacekeeper::{
    bucket::{BucketConfig, TokenBucket},
    common::Decision,
};
use std::{
    collections::HashMap,
    num::NonZero,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tower_ratelimit::{Clock, KeyedRateLimiter, LeakyBucket, Rate};
use trypema::RateLimitDecision;

pub const OURS: &str = "ours, quanta clock";
pub const GOVERNOR: &str = "governor";
pub const GOVERNOR_AHASH: &str = "governor, ahash";

pub fn rows<K: Kind>() -> Vec<Row<K>> {
    let mut rows = Vec::new();
    let mut row = |name, make| rows.push(Row { name, make });
    row("ours, std clock", |keys| ours(keys, clocks::std()));
    row(OURS, |keys| ours(keys, clocks::quanta()));
    row("ours, coarse clock", |keys| ours(keys, clocks::coarse()));
    row(GOVERNOR, |_| {
        let limiter = RateLimiter::keyed(quota());
        keyed(move |key: &K| limiter.check_key(key).is_ok())
    });
    row(GOVERNOR_AHASH, |_| {
        let limiter = RateLimiter::dashmap_with_hasher(quota(), ahash::RandomState::new());
        keyed(move |key: &K| limiter.check_key(key).is_ok())
    });
    row("governor, one HashMap", |_| {
        let limiter = RateLimiter::hashmap(quota());
        keyed(move |key: &K| limiter.check_key(key).is_ok())
    });
    row("axum_gcra, ahash", |_| axum_gcra());
    row("gcra", |_| gcra());
    row("pacekeeper", |_| pacekeeper(1));
    row("pacekeeper, 64 shards", |_| pacekeeper(64));
    rows.extend(K::rows_of_its_own());
    rows
}

fn ours<K: Kind>(keys: usize, clock: Clock) -> Box<dyn Keyed<K>> {
    let bucket = LeakyBucket::new(Rate::new(1, PERIOD).expect("the period is not zero"));
    let bucket = bucket.capacity(BURST).expect("the bucket leaks empty within 250 years");
    let builder = KeyedRateLimiter::builder(bucket).clock(clock);
    let limiter = builder.max_keys(keys).expect("there may be keys").build();
    keyed(move |key: &K| limiter.try_acquire(key).is_ok())
}

fn quota() -> Quota {
    let quota = Quota::with_period(PERIOD).expect("the period is not zero");
    quota.allow_burst(NonZero::new(BURST).expect("there is a burst"))
}

/// It never looks for what can go.
fn axum_gcra<K: Kind>() -> Box<dyn Keyed<K>> {
    let burst = NonZero::new(BURST.into()).expect("there is a burst");
    let quota = axum::Quota::new(PERIOD, burst);
    let limiter = axum::RateLimiter::new(u64::MAX, ahash::RandomState::new());
    keyed(move |key: &K| limiter.req_sync(key.clone(), quota, Instant::now()).is_ok())
}

fn gcra<K: Kind>() -> Box<dyn Keyed<K>> {
    let quota = gcra::RateLimit::new(BURST, PERIOD * BURST);
    let limiter = gcra::RateLimiter::new(0);
    keyed(move |key: &K| {
        let answer = pin!(limiter.check(key.clone(), &quota, 1));
        match answer.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer.is_ok(),
            Poll::Pending => panic!("gcra waits"),
        }
    })
}

fn pacekeeper<K: Kind>(shards: usize) -> Box<dyn Keyed<K>> {
    let config = BucketConfig::new(4_000_000_000_u64, 1_u64, Duration::from_secs(1));
    let bucket = TokenBucket::new_with_config_and_shards(config.expect("a bucket"), shards);
    let bucket: TokenBucket<K> = bucket.expect("there are shards");
    keyed(move |key: &K| matches!(bucket.try_acquire::<K>(key), Ok(Decision::Allowed { .. })))
}

pub fn tokio_rate_limit(_: usize) -> Box<dyn Keyed<String>> {
    let builder = tokio_rate_limit::RateLimiter::builder().requests_per_second(1);
    let limiter = builder.burst(BURST.into()).build().expect("a second's worth is enough");
    keyed(move |key: &String| limiter.check(key).permitted)
}

pub fn trypema(_: usize) -> Box<dyn Keyed<String>> {
    let (limiter, rate) = trypema_local(1e12);
    keyed(move |key: &String| {
        matches!(limiter.absolute().inc(key, &rate, 1), RateLimitDecision::Allowed)
    })
}

pub fn limitador(keys: usize) -> Box<dyn Keyed<String>> {
    let limiter = limitador::RateLimiter::new(keys as u64);
    let variable = "user".try_into().expect("the name of a variable");
    limiter.add_limit(Definition::new("all", BURST.into(), PERIOD.as_secs(), [], [variable]));
    let space = "all".into();
    keyed(move |key: &String| {
        let values = Values::from(HashMap::from([("user".into(), key.clone())]));
        let answer = limiter.check_rate_limited_and_update(&space, &values, 1);
        answer.is_ok_and(|answer| !answer.limited)
    })
}
