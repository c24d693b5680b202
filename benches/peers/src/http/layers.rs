//! A limit for each address of a peer, as each crate has it.

use axum_gcra::{gcra::Quota, real_ip::RealIp};
use governor::middleware::NoOpMiddleware;
use std::{num::NonZero, time::Duration};
use tower_governor::{governor::GovernorConfigBuilder, key_extractor::PeerIpKeyExtractor};
use tower_ratelimit::{
    Clock, KeyedRateLimiter, LeakyBucket, PerKeyLayer, Rate, RateLimitLayer, http::PeerIp,
};

/// How often an address may call.
#[derive(Clone, Copy)]
pub enum Limit {
    /// More often than the run lasts.
    Ample,
    /// Once an hour, which is gone before anything is measured.
    Gone,
}

impl Limit {
    /// How long a permit takes, and how many can be had at once.
    fn quota(self) -> (Duration, u32) {
        match self {
            Limit::Ample => (Duration::from_nanos(1), 1_000_000_000),
            Limit::Gone => (Duration::from_secs(3600), 1),
        }
    }
}

/// Ours, on this clock.
pub fn ours_on(clock: Clock, limit: Limit) -> PerKeyLayer<PeerIp, KeyedRateLimiter<LeakyBucket>> {
    let (period, burst) = limit.quota();
    let rate = Rate::new(1, period).expect("one permit takes a nanosecond at least");
    let bucket = LeakyBucket::new(rate).capacity(burst);
    let bucket = bucket.expect("the bucket leaks empty within 250 years");
    let limiter = KeyedRateLimiter::builder(bucket).clock(clock).build();
    RateLimitLayer::per_key(PeerIp::default(), limiter)
}

/// Ours as it comes.
pub fn ours(limit: Limit) -> PerKeyLayer<PeerIp, KeyedRateLimiter<LeakyBucket>> {
    ours_on(Clock::default(), limit)
}

/// The clock that governor reads.
pub fn quanta() -> Clock {
    let clock = quanta::Clock::new();
    let start = clock.now();
    Clock::from_fn(move || clock.now().duration_since(start))
}

/// What tower_governor makes its layers of.
pub fn governor(limit: Limit) -> GovernorConfigBuilder<PeerIpKeyExtractor, NoOpMiddleware> {
    let (period, burst) = limit.quota();
    let mut builder = GovernorConfigBuilder::default();
    builder.period(period).burst_size(burst);
    builder
}

/// What axum_gcra makes its layers of.
pub fn gcra(limit: Limit) -> axum_gcra::RateLimitLayerBuilder<RealIp> {
    let (period, burst) = limit.quota();
    let burst = NonZero::new(burst.into()).expect("once at least");
    axum_gcra::RateLimitLayer::builder().with_default_quota(Quota::new(period, burst))
}
