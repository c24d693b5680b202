//! Limits that one waits for, one call at a time and as evenly as each crate does it.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    num::NonZero,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{Service, ServiceExt, buffer::Buffer, limit};
use tower_ratelimit::{Algorithm, RateLimiter};

/// How often tokio's timer ticks, which is as often as those refill that have a period.
const TICK: Duration = Duration::from_millis(1);
const TICKS_A_SECOND: u32 = 1000;

/// One handle of a limit for each task.
pub trait Wait: Send + 'static {
    fn wait(&mut self) -> impl Future<Output = ()> + Send;
}

impl<A: Algorithm> Wait for RateLimiter<A> {
    async fn wait(&mut self) {
        let permit = self.acquire().await;
        permit.expect("a cost of 1 is granted in the end");
    }
}

/// So many at once.
pub fn governor(a_second: u32, burst: u32) -> Arc<governor::DefaultDirectRateLimiter> {
    let burst = NonZero::new(burst).expect("one at least");
    let quota = governor::Quota::with_period(Duration::from_secs(1) / a_second);
    let quota = quota.expect("the interval is not zero").allow_burst(burst);
    Arc::new(governor::RateLimiter::direct(quota))
}

impl Wait for Arc<governor::DefaultDirectRateLimiter> {
    async fn wait(&mut self) {
        self.until_ready().await;
    }
}

/// Refilled at each tick, up to what comes in so many ticks.
pub fn leaky_bucket(a_second: u32, ticks: usize) -> Arc<leaky_bucket::RateLimiter> {
    let a_tick = (a_second / TICKS_A_SECOND).max(1) as usize;
    let mut builder = leaky_bucket::RateLimiter::builder();
    builder.initial(0).refill(a_tick).interval(TICK).max(a_tick * ticks);
    Arc::new(builder.build())
}

impl Wait for Arc<leaky_bucket::RateLimiter> {
    async fn wait(&mut self) {
        self.acquire_one().await;
    }
}

/// Nothing at once.
pub fn async_rate_limiter(a_second: u32) -> async_rate_limiter::RateLimiter {
    let limiter = async_rate_limiter::RateLimiter::new(a_second as usize);
    limiter.burst(1);
    limiter
}

impl Wait for async_rate_limiter::RateLimiter {
    async fn wait(&mut self) {
        self.acquire().await;
    }
}

/// It saves up what comes in a second, at the least, and that is taken before it begins.
pub fn tokio_rate_limit(a_second: u32) -> Arc<tokio_rate_limit::RateLimiter> {
    let a_second = u64::from(a_second);
    let builder = tokio_rate_limit::RateLimiter::builder();
    let limiter = builder.requests_per_second(a_second).burst(a_second).build();
    let limiter = limiter.expect("a second's worth is enough");
    assert!(limiter.check_with_cost("all", a_second).permitted, "it is full when it is new");
    Arc::new(limiter)
}

impl Wait for Arc<tokio_rate_limit::RateLimiter> {
    async fn wait(&mut self) {
        let decision = self.acquire("all").await;
        assert!(decision.permitted, "it waits until it is");
    }
}

/// As many calls in each tick as come to the rate.
pub fn tower(a_second: u32) -> limit::RateLimit<Nothing> {
    let a_tick = (a_second / TICKS_A_SECOND).max(1);
    limit::RateLimit::new(Nothing, limit::rate::Rate::new(a_tick.into(), TICK))
}

impl Wait for limit::RateLimit<Nothing> {
    async fn wait(&mut self) {
        call(self).await;
    }
}

/// The same for several tasks, which it cannot have otherwise.
pub fn tower_and_buffer(a_second: u32) -> Buffer<(), <Nothing as Service<()>>::Future> {
    Buffer::new(tower(a_second), 1024)
}

impl Wait for Buffer<(), <Nothing as Service<()>>::Future> {
    async fn wait(&mut self) {
        call(self).await;
    }
}

async fn call<S: Service<()>>(service: &mut S) {
    let answer = async { service.ready().await?.call(()).await };
    answer.await.ok().expect("the service never fails");
}

/// A service that is always ready and answers at once.
pub struct Nothing;

impl Service<()> for Nothing {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}
