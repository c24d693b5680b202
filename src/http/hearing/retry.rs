//! Trying again what a server refused.

use super::{
    Heard, Replay, ResponseHead,
    layer::LONGEST_WAIT,
    listen::Paused,
    refused::{Again, Refused},
};
use crate::{
    clock::{Alarm, Clock, wall_time},
    nanos::Nanos,
};
use pin_project_lite::pin_project;
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

/// The most that the first random wait can be; each further one may be twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// No random wait is longer.
const LONGEST: Duration = Duration::from_secs(20);

/// Tries requests again that a server refused with 429 or 503, for [`tower::retry::RetryLayer`].
///
/// Only requests that can be sent twice are: those with a body that can be cloned, and after a 503,
/// which does not say how far the server got, those whose method is idempotent. They are tried a
/// bounded number of times, and as long as the budget lasts, which all clones share: so retries
/// never become most of what a server in trouble gets. When it does not try again, the refusal is
/// the response.
///
/// Put it outside of the limit, so that every attempt takes a permit, and outside of a
/// [`HeedLayer`](super::HeedLayer).
///
/// # How long it waits
///
/// For a random time, of up to 1 s after the first attempt, up to twice that after each further one, and
/// up to 20 s at most; where the server says how long to stay away, for that long and the random time.
/// Where that is longer than [`max_wait`](Self::max_wait) it does not try again.
///
/// Where a `HeedLayer` inside of it has heard what the server says, it does not wait at all: the next
/// attempt then stands in line like any other call, and waits as long as that layer accepts.
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
/// # gRPC
///
/// With the feature `tonic` RESOURCE_EXHAUSTED is tried again as 429 is, where it [says](super::Heard) that it
/// is about a limit, and UNAVAILABLE where `grpc-retry-pushback-ms` asks for it, as calls are no idempotent
/// requests: of either the server may have done everything but send its answer. Where the pushback is
/// negative nothing is tried again. The bodies of tonic's own clients cannot be cloned: collect them before.
///
/// [`tower::retry::RetryLayer`]: https://docs.rs/tower/latest/tower/retry/struct.RetryLayer.html
#[derive(Clone)]
pub struct RetryPolicy {
    budget: Arc<dyn Budget + Send + Sync>,
    clock: Clock,
    attempts: u32,
    max_wait: Duration,
    /// How often the request was sent; each request has a clone of its own.
    sent: u32,
}

impl RetryPolicy {
    /// Creates a policy of at most this many attempts in all, on tower's usual budget: one retry
    /// for five requests, and ten a second besides. 0 and 1 both mean that nothing is tried again.
    #[must_use]
    pub fn new(attempts: u32) -> Self {
        let budget = Arc::new(TpsBudget::default());
        Self { budget, clock: Clock::default(), attempts, max_wait: LONGEST_WAIT, sent: 1 }
    }

    /// Sets the budget: a response that is no refusal adds to it, and each retry takes from it.
    #[must_use]
    pub fn budget(self, budget: impl Budget + Send + Sync + 'static) -> Self {
        let budget = Arc::new(budget);
        Self { budget, ..self }
    }

    /// Sets the clock; [`Clock::monotonic`] by default.
    #[must_use]
    pub fn clock(self, clock: impl Into<Clock>) -> Self {
        let clock = clock.into();
        Self { clock, ..self }
    }

    /// Sets how long a server may say to stay away and is asked again all the same; ten minutes by
    /// default. What a `HeedLayer` inside has heard is left to that one.
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait, ..self }
    }

    /// How long to wait before the next attempt, if there is to be one.
    fn wait(&self, heard: &Heard, is_paused: bool) -> Option<Nanos> {
        let said = heard.said().unwrap_or_default();
        match is_paused {
            true => Some(Nanos::ZERO),
            false if said > self.max_wait => None,
            false => Some(Nanos::from(said) + self.random_wait()),
        }
    }

    /// All of it at random, so that clients that were refused together come back apart.
    fn random_wait(&self) -> Nanos {
        let doubled = 1_u32.checked_shl(self.sent.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = Nanos::from(FIRST.saturating_mul(doubled).min(LONGEST));
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
        let again = Refused::read(response.status(), response.headers())?.again;
        let is_safe = match again {
            Again::Always => true,
            Again::IfIdempotent => request.method().is_idempotent(),
            Again::Never => false,
        };
        if !is_safe || self.sent >= self.attempts {
            return None;
        }
        let wait = self.wait(&heard, response.extensions().get::<Paused>().is_some())?;
        if !self.budget.withdraw() {
            return None;
        }
        self.sent += 1;
        Some(Backoff::new(self.clock.clone(), wait))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        if self.sent < self.attempts { request.replay() } else { None }
    }
}

pin_project! {
    /// The future of the time between two attempts.
    #[must_use = "futures do nothing unless polled"]
    pub struct Backoff {
        clock: Clock,
        #[pin]
        alarm: Alarm,
        end: Nanos,
    }
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
        let mut this = self.project();
        while this.clock.now() < *this.end {
            ready!(this.alarm.as_mut().poll(this.clock, *this.end, cx));
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
