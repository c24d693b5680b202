//! One limit, as each crate has it.

use super::limited::{Limited, limited};
use crate::harness::Limit;
use axum_gcra::gcra as axum;
use governor::{Quota, RateLimiter, clock::MonotonicClock, middleware::StateInformationMiddleware};
use limitador::limit::{Context, Expression, Limit as Definition};
use pacekeeper::{bucket::TokenBucket, common::Decision};
use std::{
    hint::black_box,
    num::NonZero,
    sync::Mutex,
    time::{Duration, Instant},
};
use tower_ratelimit::Clock;
use trypema::{RateLimitDecision, RateLimiterBuilder as _, local::LocalRateLimiterProvider};

pub fn ours(limit: Limit, clock: Clock) -> Box<dyn Limited> {
    let builder = tower_ratelimit::RateLimiter::builder(limit.bucket());
    let limiter = builder.clock(clock).build();
    limited(move || limiter.try_acquire().is_ok())
}

fn quota(limit: Limit) -> Quota {
    let (period, burst) = limit.quota();
    let quota = Quota::with_period(period).expect("the period is not zero");
    quota.allow_burst(NonZero::new(burst).expect("once at least"))
}

/// On its own clock, that of quanta.
pub fn governor(limit: Limit) -> Box<dyn Limited> {
    let limiter = RateLimiter::direct(quota(limit));
    limited(move || limiter.check().is_ok())
}

/// Which says how many more may come, as ours does.
pub fn governor_remaining(limit: Limit) -> Box<dyn Limited> {
    let limiter = RateLimiter::direct(quota(limit));
    let limiter = limiter.with_middleware::<StateInformationMiddleware>();
    let remaining = |snapshot: governor::middleware::StateSnapshot| {
        black_box(snapshot.remaining_burst_capacity());
    };
    limited(move || limiter.check().map(remaining).is_ok())
}

pub fn governor_std(limit: Limit) -> Box<dyn Limited> {
    let limiter = RateLimiter::direct_with_clock(quota(limit), MonotonicClock);
    limited(move || limiter.check().is_ok())
}

/// It refills so often that an ample one would never be asked to: it has a store instead.
pub fn leaky_bucket(limit: Limit, is_fair: bool) -> Box<dyn Limited> {
    let mut builder = leaky_bucket::RateLimiter::builder();
    builder.fair(is_fair);
    match limit {
        Limit::Ample => builder.initial(1 << 60).max(1 << 60).refill(1_000_000),
        Limit::Gone => builder.initial(0).max(1).refill(1),
    };
    builder.interval(match limit {
        Limit::Ample => Duration::from_millis(1),
        Limit::Gone => limit.quota().0,
    });
    let limiter = builder.build();
    limited(move || limiter.try_acquire(1))
}

pub fn ratelimit(limit: Limit) -> Box<dyn Limited> {
    let (_, burst) = limit.quota();
    let builder = match limit {
        Limit::Ample => {
            ratelimit::Ratelimiter::builder(burst.into()).initial_available(burst.into())
        }
        Limit::Gone => ratelimit::Ratelimiter::builder(1).period(limit.quota().0),
    };
    let limiter = builder.max_tokens(burst.into()).build().expect("there is a burst");
    limited(move || limiter.try_wait().is_ok())
}

/// It wants to be told the time.
pub fn axum_gcra(limit: Limit) -> Box<dyn Limited> {
    let (period, burst) = limit.quota();
    let quota = axum::Quota::new(period, NonZero::new(burst.into()).expect("once at least"));
    let (limiter, start) = (axum::Gcra::first(quota, 0), Instant::now());
    limited(move || limiter.req(quota, start.elapsed().as_nanos() as u64).is_ok())
}

/// It has no lock of its own.
pub fn gcra(limit: Limit) -> Box<dyn Limited> {
    let (period, burst) = limit.quota();
    let quota = gcra::RateLimit::new(burst, period * burst);
    let state = Mutex::new(gcra::GcraState::default());
    limited(move || {
        let mut state = state.lock().expect("nobody panics");
        state.check_and_modify(&quota, 1).is_ok()
    })
}

/// By the second: the scarcest has one a second.
pub fn async_rate_limiter(limit: Limit) -> Box<dyn Limited> {
    let limiter = async_rate_limiter::RateLimiter::new(limit.quota().1 as usize);
    limited(move || limiter.try_acquire().is_ok())
}

/// By the second and by key, of which there is one.
pub fn tokio_rate_limit(limit: Limit) -> Box<dyn Limited> {
    let (_, burst) = limit.quota();
    let builder = tokio_rate_limit::RateLimiter::builder().requests_per_second(burst.into());
    let limiter = builder.burst(burst.into()).build().expect("a second's worth is enough");
    limited(move || limiter.check("all").permitted)
}

/// By key. The window is a minute, in pieces of 10 ms.
pub fn trypema(limit: Limit) -> Box<dyn Limited> {
    let rate = match limit {
        Limit::Ample => 1e12,
        Limit::Gone => 1.0 / 60.0,
    };
    let (limiter, rate) = trypema_local(rate);
    limited(move || matches!(limiter.absolute().inc("all", &rate, 1), RateLimitDecision::Allowed))
}

/// So many a second for each key.
pub fn trypema_local(
    a_second: f64,
) -> (std::sync::Arc<LocalRateLimiterProvider>, trypema::RateLimit) {
    let builder = LocalRateLimiterProvider::builder().cleanup_enabled(false);
    let limiter = builder.build().expect("its own sizes fit each other");
    (limiter, trypema::RateLimit::per_second_or_panic(a_second))
}

/// By key.
pub fn pacekeeper(limit: Limit) -> Box<dyn Limited> {
    let bucket = match limit {
        Limit::Ample => TokenBucket::new(4_000_000_000, 1_000_000_000, Duration::from_secs(1)),
        Limit::Gone => TokenBucket::new(1, 1, limit.quota().0),
    };
    let bucket: TokenBucket<String> = bucket.expect("a bucket");
    limited(move || matches!(bucket.try_acquire("all"), Ok(Decision::Allowed { .. })))
}

/// A fixed window.
pub fn limitador(limit: Limit) -> Box<dyn Limited> {
    let (_, burst) = limit.quota();
    let limiter = limitador::RateLimiter::new(1000);
    let none = Vec::<Expression>::new();
    limiter.add_limit(Definition::new("all", burst.into(), 3600, [], none));
    let (space, context) = ("all".into(), Context::default());
    limited(move || {
        let answer = limiter.check_rate_limited_and_update(&space, &context, 1);
        answer.is_ok_and(|answer| !answer.limited)
    })
}
