//! Whether a limiter, and the layers on it, keep their contracts.

mod probe;
mod caller;
mod scene;
mod passing;
mod dropping;
mod waiting;
mod inner;
mod refusing;
mod keys;
mod tickets;

pub use probe::{Probe, ProbeFailed};

use super::violation::Violation;
use crate::{
    clock::Clock,
    layer::RateLimitLayer,
    limiter::{KeyedLimiter, Limiter},
};
use scene::Scene;
use std::time::Duration;
use tickets::Counter;
use tower_layer::Layer;

/// Tests whether limiters, and the layers on them, keep their contracts.
///
/// The limits to look at are made by a function, a fresh one for each scene. Each of them lets
/// [`permits`](Self::new) calls of cost 1 through at once, and the next when a
/// [`period`](Self::new) has passed at the latest. Calls end at once, so a limit on the calls in flight
/// has nothing to show here.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_ratelimit::{ManualClock, Rate, RateLimiter, SlidingWindow, conformance::Limits};
///
/// let clock = ManualClock::new();
/// let limit = SlidingWindow::new(Rate::per_minute(3)?);
/// Limits::new(3, Duration::from_secs(60))
///     .clock(clock.clone())
///     .in_order()
///     .limiter(|| RateLimiter::builder(limit.clone()).clock(clock.clone()).build())
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until a limiter or a layer is looked at"]
pub struct Limits {
    permits: u32,
    period: Duration,
    latency: Duration,
    clock: Clock,
    in_order: bool,
}

/// Plays these scenes, each on a fresh limit, until one breaks a point.
macro_rules! play {
    ($new:expr; $($scene:ident),+ $(,)?) => {$(
        let mut scene = $new;
        let checked = scene.$scene().await;
        scene.end(checked)?;
    )+};
}

impl Limits {
    /// Describes limits of this many permits, 1 and up, the next of which comes after this period.
    ///
    /// They are tested by tokio's clock, which has to be paused: in a test with
    /// `#[tokio::test(start_paused = true)]`. A period of whole milliseconds, 32 and up, suits its timer.
    pub fn new(permits: u32, period: Duration) -> Self {
        let latency = Duration::ZERO;
        Self { permits, period, latency, clock: Clock::monotonic(), in_order: false }
    }

    /// Sets the clock, which the limiters have to use as well: a
    /// [`ManualClock`](crate::ManualClock), which needs no runtime. The kit moves it.
    pub fn clock(self, clock: impl Into<Clock>) -> Self {
        Self { clock: clock.into(), ..self }
    }

    /// Says that the limiter asks another service, which takes this long at most; a fraction of the
    /// period, and of the time that an unused permit keeps.
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Says that the limiter keeps a line: first come, first served, and what goes back is granted
    /// to the next in line at once.
    pub fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// Tests limiters made by this function, by themselves and through [`RateLimitLayer`].
    ///
    /// # Errors
    ///
    /// The first point of the contract that is broken, and what happened.
    pub async fn limiter<L: Limiter>(&self, make: impl Fn() -> L) -> Result<(), Violation> {
        self.asked(&make).await?;
        self.layer(|| RateLimitLayer::new(make())).await?;
        self.refusing_layer(|| RateLimitLayer::new(make()).refuse()).await
    }

    /// Tests limiters with a limit for each key, by themselves and through
    /// [`RateLimitLayer::per_key`].
    ///
    /// # Errors
    ///
    /// The first point of the contract that is broken, and what happened.
    pub async fn keyed_limiter<L: KeyedLimiter>(
        &self,
        make: impl Fn() -> L,
    ) -> Result<(), Violation> {
        self.asked(&make).await?;
        let make = || RateLimitLayer::per_key(keys::key_of, make());
        self.layer(|| make().wait()).await?;
        play!(Scene::new(self, make().wait()); other_keys_do_not_wait);
        self.refusing_layer(make).await
    }

    async fn asked<L: Limiter>(&self, make: &impl Fn() -> L) -> Result<(), Violation> {
        play!(
            Counter::new(self, make());
            tickets_go_back,
            nothing_costs_nothing,
            what_costs_too_much_is_refused,
            impatience_is_respected,
        );
        Ok(())
    }

    /// Tests layers made by this function, which let calls wait: yours, or ours in whatever you
    /// wrap them.
    ///
    /// # Errors
    ///
    /// The first point of the contract that is broken, and what happened.
    pub async fn layer<L>(&self, make: impl Fn() -> L) -> Result<(), Violation>
    where
        L: Layer<Probe>,
        L::Service: tower_service::Service<u32, Response = u32> + Clone,
    {
        play!(
            Scene::new(self, make());
            lets_through_and_limits,
            is_shared,
            a_clone_of_a_ready_service_has_no_permit,
            ready_services_give_back,
            a_wait_that_is_dropped_takes_nothing,
            a_turn_that_is_dropped_goes_on,
            a_line_is_served,
            the_task_that_polled_last_is_woken,
            a_call_that_is_never_polled_again_stalls_nobody,
            an_error_of_a_call_is_passed_on,
            an_error_of_readiness_keeps_no_permit,
            a_service_that_is_not_ready_gives_back,
            a_service_that_is_stuck_keeps_nothing_for_ever,
            nothing_is_saved_up,
        );
        if self.in_order {
            play!(Scene::new(self, make()); what_goes_back_is_handed_on);
        }
        Ok(())
    }

    /// Tests layers made by this function, which refuse calls that would have to wait.
    ///
    /// # Errors
    ///
    /// The first point of the contract that is broken, and what happened.
    pub async fn refusing_layer<L>(&self, make: impl Fn() -> L) -> Result<(), Violation>
    where
        L: Layer<Probe>,
        L::Service: tower_service::Service<u32, Response = u32> + Clone,
    {
        play!(
            Scene::new(self, make());
            ready_services_give_back,
            a_refusal_fails_the_call_and_not_the_service,
            an_error_of_readiness_keeps_no_permit,
            nothing_is_saved_up,
        );
        Ok(())
    }
}
