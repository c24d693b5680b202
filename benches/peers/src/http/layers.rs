//! A limit for each address of a peer, as each crate has it.

use crate::harness::Limit;
use axum_07::{body::Body, response::Response};
use axum_gcra::{gcra::Quota, real_ip::RealIp};
use governor::middleware::NoOpMiddleware;
use http::{StatusCode, header::RETRY_AFTER};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    num::NonZero,
};
use tower_governor::{governor::GovernorConfigBuilder, key_extractor::PeerIpKeyExtractor};
use tower_ratelimit::{
    Clock, KeyedRateLimiter, LeakyBucket, PerKeyLayer, RateLimitLayer, http::PeerIp,
};

/// Ours, on this clock.
pub fn ours_on(clock: Clock, limit: Limit) -> PerKeyLayer<PeerIp, KeyedRateLimiter<LeakyBucket>> {
    let limiter = KeyedRateLimiter::builder(limit.bucket()).clock(clock).build();
    RateLimitLayer::per_key(PeerIp::default(), limiter)
}

/// Ours as it comes.
pub fn ours(limit: Limit) -> PerKeyLayer<PeerIp, KeyedRateLimiter<LeakyBucket>> {
    ours_on(Clock::default(), limit)
}

/// What tower_governor makes its layers of.
pub fn governor(limit: Limit) -> GovernorConfigBuilder<PeerIpKeyExtractor, NoOpMiddleware> {
    let (period, burst) = limit.quota();
    let mut builder = GovernorConfigBuilder::default();
    builder.period(period).burst_size(burst);
    builder
}

/// Answers what axum_gcra refuses as ours does, by the handler that its layers take.
pub fn too_many_requests<R>(error: axum_gcra::Error<Infallible, R>) -> Ready<Response> {
    let axum_gcra::Error::RateLimit(refusal) = error else {
        unreachable!("the address is in the request, and the service does not fail");
    };
    let wait = refusal.as_duration();
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    ready(response)
}

/// What axum_gcra makes its layers of.
pub fn gcra(limit: Limit) -> axum_gcra::RateLimitLayerBuilder<RealIp> {
    let (period, burst) = limit.quota();
    let burst = NonZero::new(burst.into()).expect("once at least");
    axum_gcra::RateLimitLayer::builder().with_default_quota(Quota::new(period, burst))
}
