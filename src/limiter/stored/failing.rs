//! What becomes of calls while the store does not answer.

use super::{
    super::{Attempt, KeyedRateLimiter, Limiter, Terms},
    shared::Shared,
    ticket::{From, StoredTicket},
};
use crate::{
    algorithm::Algorithm,
    error::{RateLimited, Reason},
    nanos::Nanos,
    store::{Store, StoreError, StoreKey},
};

/// What happens to calls while the store does not answer. It has no default, so that no call is let
/// through by accident.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_ratelimit::{
///     OnFailure, Rate, Reason, SlidingWindow, StoredLimiter,
///     store::{Answer, Batch, Store, StoreError},
/// };
///
/// #[derive(Clone)]
/// struct Broken;
///
/// impl Store<SlidingWindow> for Broken {
///     async fn decide(&self, _: Batch<SlidingWindow>) -> Result<Vec<Answer>, StoreError> {
///         Err(StoreError::new("no route to host"))
///     }
/// }
///
/// let (limit, share) = (Rate::per_minute(60)?, Rate::per_minute(2)?);
/// let limiter = |on_failure| {
///     StoredLimiter::builder("api", Broken, SlidingWindow::new(limit), on_failure).build()
/// };
/// let refused = limiter(OnFailure::Refuse)?.key("alice").try_acquire().await.unwrap_err();
/// assert_eq!(refused.reason(), Reason::Unavailable);
///
/// limiter(OnFailure::Admit)?.key("alice").try_acquire().await?;
///
/// let local = limiter(OnFailure::Local(SlidingWindow::new(share)))?;
/// local.key("alice").try_acquire().await?;
/// local.key("alice").try_acquire().await?;
/// let refused = local.key("alice").try_acquire().await.unwrap_err();
/// assert_eq!(refused.reason(), Reason::UsedUp);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum OnFailure<A> {
    /// They are refused, with [`Unavailable`](crate::Reason::Unavailable) and the
    /// [`StoreError`] as the cause.
    Refuse,
    /// They pass, and nothing is counted.
    Admit,
    /// This limit holds, per key, in this process alone. (For several limits, a
    /// [`JointBuilder`](crate::JointBuilder) with one of the same name for each.) Where n processes
    /// share a limit, it is an n-th of that, or less.
    ///
    /// What the store lets through uses it up as well: a store that fails now and then gives
    /// callers no fresh burst each time.
    Local(A),
}

impl<A> OnFailure<A> {
    /// As metrics call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Admit => "admit",
            Self::Local(_) => "local",
        }
    }
}

/// The same, in use.
#[derive(Debug)]
pub(super) enum Failing<A: Algorithm> {
    Refuse,
    Admit,
    Local(KeyedRateLimiter<A>),
}

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    /// What the policy says for a call that came at this instant and that the store did not answer.
    pub(super) async fn without_store(
        &self,
        key: &StoreKey,
        terms: Terms,
        came: Nanos,
        error: StoreError,
    ) -> Result<StoredTicket<A>, RateLimited> {
        self.inquiry.pipeline.meters.fell_back();
        let since = self.now();
        let local = match &self.failing {
            // There is nothing to limit, so there is nothing to ask.
            _ if terms.cost == 0 => return Ok(self.free(since)),
            Failing::Refuse => {
                return Err(self.refusal(Reason::Unavailable, terms).with_cause(error));
            }
            Failing::Admit => return Ok(self.free(since)),
            Failing::Local(local) => local,
        };
        // The time that it has waited for the store is over.
        let left = terms.left_after(since - came);
        let (ticket, waited) = match local.reserve(key.bytes(), left) {
            Attempt::Now(result) => (result?, Nanos::ZERO),
            Attempt::Later(waiting) => (waiting.await?, self.now() - since),
        };
        Ok(StoredTicket { from: From::Local(ticket), at: self.now(), waited })
    }

    /// What the store lets through uses up the share of this process, too.
    pub(super) fn use_up_share(&self, key: &StoreKey, cost: u32) {
        if let Failing::Local(local) = &self.failing {
            local.use_up(key.bytes(), cost);
        }
    }
}
