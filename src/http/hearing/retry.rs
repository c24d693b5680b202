//! Trying again what a server refused.

use super::{Heard, Replay, ResponseHead};
use crate::{
    clock::{Alarm, Clock, wall_time},
    nanos::Nanos,
};
use http::StatusCode;
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tower::retry::{
    Policy,
    budget::{Budget, TpsBudget},
};

/// The most that the first wait can be where the server does not say how long; each further one may
/// be twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// No wait is longer where the server does not say how long.
const LONGEST: Duration = Duration::from_secs(20);

/// Tries requests again that a server refused with 429 or 503, for [`tower::retry::RetryLayer`].
///
/// Only requests that can be sent twice are: those with a body that can be cloned, and after a 503,
/// which does not say how far the server got, those whose method is idempotent. They are tried so many
/// times in all, and as long as the budget lasts, which all clones share: retries so never become
/// most of what a server in trouble gets. When it does not try again, the refusal is the response.
///
/// Put it outside of the limit, so that every attempt takes a permit, and outside of a
/// [`HeedLayer`](super::HeedLayer). It waits only where the server does not say for how long: for a
/// random time, of up to 1 s after the first attempt, up to twice that after each further one, and up to
/// 20 s at most. Where it does say, the `HeedLayer` has the next attempt wait in line like any
/// other call.
///
/// ```
/// use tower::{ServiceBuilder, retry::RetryLayer};
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer};
/// use tower_ratelimit::http::{HeedLayer, Heeding, Host, RetryPolicy};
///
/// let rate = Rate::per_second(10)?;
/// let client = ServiceBuilder::new()
///     .layer(RetryLayer::new(RetryPolicy::new(3)))
///     .layer(RateLimitLayer::new(LeakyBucket::new(rate)))
///     .layer(HeedLayer::new(Host, Heeding::new(rate)));
/// # let _ = client;
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
///
/// [`tower::retry::RetryLayer`]: https://docs.rs/tower/latest/tower/retry/struct.RetryLayer.html
#[derive(Clone)]
pub struct RetryPolicy {
    budget: Arc<dyn Budget + Send + Sync>,
    clock: Clock,
    attempts: u32,
    /// How often the request was sent; each request has a clone of its own.
    sent: u32,
}

impl RetryPolicy {
    /// At most this many attempts in all, on tower's usual budget: one retry for five
    /// requests, and ten a second besides. 0 and 1 both mean that nothing is tried again.
    #[must_use]
    pub fn new(attempts: u32) -> Self {
        let budget = Arc::new(TpsBudget::default());
        Self { budget, clock: Clock::default(), attempts, sent: 1 }
    }

    /// Sets the budget: a response that is no refusal adds to it, and each retry takes from it.
    #[must_use]
    pub fn budget(self, budget: impl Budget + Send + Sync + 'static) -> Self {
        let budget = Arc::new(budget);
        Self { budget, ..self }
    }

    /// Sets the clock; [`Clock::monotonic`] unless said otherwise.
    #[must_use]
    pub fn clock(self, clock: impl Into<Clock>) -> Self {
        let clock = clock.into();
        Self { clock, ..self }
    }

    /// How long to wait before the next attempt.
    fn wait(&self, heard: &Heard) -> Nanos {
        if heard.said().is_some() {
            return Nanos::ZERO;
        }
        let doubled = 1_u32.checked_shl(self.sent.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = Nanos::from(FIRST.saturating_mul(doubled).min(LONGEST));
        // All of it at random, so that clients that were refused together come back apart.
        Nanos::new(random() % (longest.get() + 1))
    }
}

/// Hashers are seeded at random, for each one anew.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

impl<Req: Replay, Res: ResponseHead, E> Policy<Req, Res, E> for RetryPolicy {
    type Future = Backoff;

    fn retry(&mut self, request: &mut Req, result: &mut Result<Res, E>) -> Option<Backoff> {
        let response = result.as_ref().ok()?;
        let heard = Heard::read(response.status(), response.headers(), wall_time());
        if !heard.refused {
            self.budget.deposit();
            return None;
        }
        let is_safe =
            response.status() == StatusCode::TOO_MANY_REQUESTS || request.method().is_idempotent();
        if !is_safe || self.sent >= self.attempts || !self.budget.withdraw() {
            return None;
        }
        let wait = self.wait(&heard);
        self.sent += 1;
        Some(Backoff::new(self.clock.clone(), wait))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        if self.sent < self.attempts { request.replay() } else { None }
    }
}

/// The time between two attempts.
#[must_use = "futures do nothing unless polled"]
pub struct Backoff {
    clock: Clock,
    alarm: Alarm,
    end: Nanos,
}

impl Backoff {
    fn new(clock: Clock, wait: Nanos) -> Self {
        let end = clock.now() + wait;
        Self { clock, alarm: Alarm::default(), end }
    }
}

impl Future for Backoff {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        while this.clock.now() < this.end {
            ready!(this.alarm.poll(&this.clock, this.end, cx));
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, sent, .. } = self;
        f.debug_struct("RetryPolicy")
            .field("attempts", attempts)
            .field("sent", sent)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").field("end", &self.end).finish_non_exhaustive()
    }
}
