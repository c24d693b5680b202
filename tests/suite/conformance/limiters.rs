//! Our limiters keep the contract, with either clock and over slow stores, and so do our layers in whatever they
//! stand.

use crate::stored::slow::Slow;
use std::time::Duration;
use tower::{Layer, ServiceBuilder, util::BoxCloneService};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, BurstCompensating, FixedWindow, KeyedRateLimiter, LeakyBucket,
    ManualClock, OnFailure, Rate, RateLimitLayer, RateLimiter, SlidingWindow, SlidingWindowCounter,
    StoredLimiter, Strict, TokenBucket,
    conformance::{Limits, Probe, Violation},
    limiter::IntoLimiter,
};

fn rate(permits: u32, milliseconds: u64) -> Rate {
    Rate::new(permits, Duration::from_millis(milliseconds)).unwrap()
}

/// Limits for everybody and limits per key, by tokio's clock and by one moved by hand.
async fn conform<A: Algorithm + Clone>(
    limit: A,
    permits: u32,
    milliseconds: u64,
) -> Result<(), Violation> {
    let limits = Limits::new(permits, Duration::from_millis(milliseconds)).in_order();
    limits.limiter(|| RateLimiter::new(limit.clone())).await?;
    limits.keyed_limiter(|| KeyedRateLimiter::new(limit.clone())).await?;
    let clock = ManualClock::new();
    let limits = limits.clock(clock.clone());
    let limiter = || RateLimiter::builder(limit.clone()).clock(clock.clone()).build();
    limits.limiter(limiter).await?;
    let limiter = || KeyedRateLimiter::builder(limit.clone()).clock(clock.clone()).build();
    limits.keyed_limiter(limiter).await
}

/// Limits per key in a store, where a batch takes a while, alone or beside another one.
///
/// Not of a leaky bucket, which leaks while answers are on their way: what of a permit has leaked does not go back,
/// and a turn that nobody took is over for those whose turns the store has named already.
async fn conform_in_stores<A: Algorithm + Clone>(
    limit: A,
    permits: u32,
    milliseconds: u64,
) -> Result<(), Violation> {
    const BATCH: u64 = 4;
    // The batch that is under way, the own one, and one that gives back.
    let latency = Duration::from_millis(3 * BATCH);
    let limits = Limits::new(permits, Duration::from_millis(milliseconds)).latency(latency);
    for at_once in [1, 2] {
        let limiter = || {
            let store = Slow::new(BATCH).at_once(at_once);
            let limiter = StoredLimiter::builder("calls", store, limit.clone(), OnFailure::Refuse);
            limiter.build().unwrap()
        };
        limits.clone().keyed_limiter(limiter).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn leaky_bucket() -> Result<(), Violation> {
    conform(LeakyBucket::new(rate(1, 100)).capacity(1).unwrap(), 1, 100).await?;
    conform(LeakyBucket::new(rate(10, 1000)).capacity(4).unwrap(), 4, 100).await?;
    conform(LeakyBucket::any_window(rate(10, 1000), 3).unwrap(), 3, 125).await
}

#[tokio::test(start_paused = true)]
async fn strict() -> Result<(), Violation> {
    conform(Strict::new(rate(10, 1000)), 1, 100).await
}

#[tokio::test(start_paused = true)]
async fn burst_compensating() -> Result<(), Violation> {
    conform(BurstCompensating::new(rate(10, 1000)), 1, 100).await
}

#[tokio::test(start_paused = true)]
async fn token_bucket() -> Result<(), Violation> {
    conform(TokenBucket::new(rate(3, 300)), 3, 300).await?;
    conform_in_stores(TokenBucket::new(rate(3, 960)), 3, 960).await
}

#[tokio::test(start_paused = true)]
async fn sliding_window() -> Result<(), Violation> {
    conform(SlidingWindow::new(rate(1, 100)), 1, 100).await?;
    conform(SlidingWindow::all([rate(3, 300), rate(20, 6000)]).unwrap(), 3, 300).await?;
    conform_in_stores(SlidingWindow::new(rate(3, 320)), 3, 320).await
}

#[tokio::test(start_paused = true)]
async fn fixed_window() -> Result<(), Violation> {
    conform(FixedWindow::new(rate(3, 300)), 3, 300).await?;
    conform_in_stores(FixedWindow::new(rate(3, 320)), 3, 320).await
}

#[tokio::test(start_paused = true)]
async fn sliding_window_counter() -> Result<(), Violation> {
    conform(SlidingWindowCounter::new(rate(3, 300)), 3, 600).await
}

/// With plenty of permits, of which services are promised one without a look at the clock.
#[tokio::test(start_paused = true)]
async fn many_permits() -> Result<(), Violation> {
    conform(SlidingWindow::new(rate(64, 6400)), 64, 6400).await
}

#[tokio::test(start_paused = true)]
async fn any_algorithm() -> Result<(), Violation> {
    conform(AnyAlgorithm::from(SlidingWindow::new(rate(2, 200))), 2, 200).await
}

/// A layer as it stands in a stack, with other layers around it and in it.
fn stacked<M>(limit: impl IntoLimiter<M>) -> impl Layer<Probe, Service = Stacked> {
    let layer = RateLimitLayer::new(limit);
    tower::layer::layer_fn(move |probe: Probe| {
        let stack = ServiceBuilder::new()
            .map_response(|answer| answer)
            .layer(layer.clone())
            .map_request(|request: u32| request)
            .service(probe);
        BoxCloneService::new(stack)
    })
}

type Stacked =
    BoxCloneService<u32, u32, tower_ratelimit::Error<tower_ratelimit::conformance::ProbeFailed>>;

#[tokio::test(start_paused = true)]
async fn a_layer_in_a_stack() -> Result<(), Violation> {
    let limits = Limits::new(2, Duration::from_millis(200));
    limits.layer(|| stacked(SlidingWindow::new(rate(2, 200)))).await
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_only_waits() -> Result<(), Violation> {
    let limits = Limits::new(2, Duration::from_millis(200)).in_order();
    limits.layer(|| RateLimitLayer::wait_only(SlidingWindow::new(rate(2, 200)))).await
}
