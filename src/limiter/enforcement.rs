//! How much of a limit is enforced.

use super::{Enforced, Limiter};
use crate::{events, invalid::Invalid};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// How much of a limit is enforced: all of it, a share, or nothing (shadow mode), so that a limit
/// can be watched before it refuses a call, and introduced step by step.
///
/// A handle: clones share the setting, which holds from the next call on, and so do all limiters
/// that it was given. Every refusal that is not enforced is an event and counts in
/// `rate_limit_unenforced_total`, beside the metrics of the limit, which are as if it were enforced.
///
/// At 25 % every fourth call that is refused is turned away: exactly that share over time, by turns,
/// whichever key it is for. The others pass whatever the reason, and have taken nothing: in shadow
/// mode (at 0 %) the limit counts the calls that it would have let through.
///
/// A request that does not say for whom to limit it never gets as far as the limit, and is refused in
/// any case.
///
/// To wait is as much a burden as to be turned away, so calls that are willing to wait are chosen
/// beforehand: at 25 % every fourth of them is subject to the limit, waits, and is refused where it
/// would be. The others do not wait: they pass at once, and those for which there were no permits
/// are reported. Only the answer of a [store](crate::StoredLimiter) is waited for in any case. A
/// service that waits in `poll_ready` asks anew when its permits perished, which is a turn of its
/// own.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_ratelimit::{Enforcement, KeyedRateLimiter, Rate, RateLimitLayer, SlidingWindow};
///
/// let limiter = KeyedRateLimiter::new(SlidingWindow::new(Rate::per_hour(1)?));
/// let enforcement = Enforcement::shadow();
/// let layer = RateLimitLayer::per_key(|name: &&'static str| *name, enforcement.of(limiter));
/// let hello = service_fn(async |name: &'static str| Ok::<_, Infallible>(name.len()));
/// let service = ServiceBuilder::new().layer(layer).service(hello);
///
/// for _ in 0..10 {
///     service.clone().oneshot("alice").await?; // nine of these would be refused
/// }
/// enforcement.set_percent(100.0)?;
/// service.oneshot("alice").await.expect_err("from now on they are");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Enforcement(Arc<Share>);

/// All calls, in the unit of shares.
const WHOLE: u32 = 1_000_000;

struct Share {
    /// How many of a million are enforced.
    millionths: AtomicU32,
    /// What has come together since the last one that was enforced, less than [`WHOLE`]. It is only
    /// counted, and guards no other memory.
    rest: AtomicU32,
}

impl Enforcement {
    /// Enforces nothing (shadow mode): the limit decides and reports, and refuses no call.
    #[must_use]
    pub fn shadow() -> Self {
        Self::of_millionths(0)
    }

    /// Enforces this percentage of refusals, from 0 to 100, to a ten-thousandth of a percent.
    ///
    /// ```
    /// use tower_ratelimit::Enforcement;
    ///
    /// assert_eq!(Enforcement::percent(12.5)?.percentage(), 12.5);
    /// let invalid = Enforcement::percent(f64::NAN).unwrap_err();
    /// assert_eq!(invalid.to_string(), "percent is NaN, but must be from 0 to 100");
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is below 0, above 100 or not a number.
    pub fn percent(percent: f64) -> Result<Self, Invalid> {
        millionths(percent).map(Self::of_millionths)
    }

    /// Sets the percentage of refusals that is enforced from now on.
    ///
    /// # Errors
    ///
    /// As for [`percent`](Self::percent). Nothing changes then.
    pub fn set_percent(&self, percent: f64) -> Result<(), Invalid> {
        let millionths = millionths(percent)?;
        events::control(None, "set_percent");
        self.0.millionths.store(millionths, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the percentage of refusals that is enforced.
    #[must_use]
    pub fn percentage(&self) -> f64 {
        f64::from(self.0.millionths.load(Ordering::Relaxed)) / (f64::from(WHOLE) / 100.0)
    }

    /// Wraps a limiter, which is then enforced to this degree: for a layer, or for the rules of a
    /// [`JointLayer`](crate::JointLayer).
    ///
    /// ```
    /// use tower_ratelimit::{Enforcement, JointLayer, JointLimiter, Rate, SlidingWindow};
    ///
    /// let mut limits = JointLimiter::builder();
    /// let per_user = limits.limit("per user", SlidingWindow::new(Rate::per_minute(60)?))?;
    /// let enforcement = Enforcement::percent(10.0)?;
    /// let layer = JointLayer::new(limits.build(), move |limits: &JointLimiter, user: &u64| {
    ///     enforcement.of(limits.on(per_user, user))
    /// });
    /// # let _ = layer;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn of<L: Limiter>(&self, limiter: L) -> Enforced<L> {
        Enforced::new(limiter, self.clone())
    }

    fn of_millionths(millionths: u32) -> Self {
        let (millionths, rest) = (AtomicU32::new(millionths), AtomicU32::new(0));
        Self(Arc::new(Share { millionths, rest }))
    }

    /// Whether it is the turn of the next call to be subject to the limit.
    pub(super) fn is_next(&self) -> bool {
        let share = self.0.millionths.load(Ordering::Relaxed);
        let more = |rest| Some((rest + share) % WHOLE);
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        match self.0.rest.fetch_update(success, failure, more) {
            Ok(rest) | Err(rest) => rest + share >= WHOLE,
        }
    }
}

impl fmt::Debug for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcement").field("percent", &self.percentage()).finish()
    }
}

/// A share, checked. Written so that NaN is outside.
fn millionths(percent: f64) -> Result<u32, Invalid> {
    match (0.0..=100.0).contains(&percent) {
        // From nothing to a million, a whole number.
        true => Ok((percent * (f64::from(WHOLE) / 100.0)).round() as u32),
        false => Err(Invalid::new("percent", percent, "from 0 to 100")),
    }
}
