//! Permits of several limits that were granted.

use super::{
    Binding, JointTicket, JointWaiting, OnLimits, acquire::JointGranted, on_limits::binding,
    shared::Shared, used::Used,
};
use crate::{
    decision::Decision,
    error::RateLimited,
    limiter::{Attempt, LeaseLost, LimitId, Perished, Settle, Terms, settled::Costs},
};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// Permits of several limits that were granted and used.
///
/// Where calls hold the permits of one of the limits until they end
/// ([`Concurrency`](crate::Concurrency), [`Serialized`](crate::Serialized)), dropping it says that
/// the call has ended; elsewhere dropping it changes nothing. [`refund`](Self::refund) gives the
/// permits of all limits back as if the call had never been.
///
/// ```
/// use tower_ratelimit::{Concurrency, JointLimiter, Rate, SlidingWindow};
///
/// let mut limits = JointLimiter::builder();
/// let in_flight = limits.limit("in flight", Concurrency::new(1)?)?;
/// let per_hour = limits.limit("per hour", SlidingWindow::new(Rate::per_hour(2)?))?;
/// let limiter = limits.build();
/// let call = limiter.on(in_flight, &()).on(per_hour, &());
///
/// let permit = call.try_acquire().expect("the first");
/// assert_eq!(call.try_acquire().unwrap_err().limit(), Some("in flight"));
/// drop(permit); // the call has ended
/// drop(call.try_acquire().expect("one at a time, and two an hour"));
/// assert_eq!(call.try_acquire().unwrap_err().limit(), Some("per hour"));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
pub struct JointPermit {
    shared: Arc<Shared>,
    used: Used,
}

impl JointPermit {
    fn new(call: &OnLimits, used: Used) -> Self {
        Self { shared: Arc::clone(call.shared()), used }
    }

    /// Returns how the limit with the least left stood when the permits were granted.
    #[must_use]
    pub fn binding(&self) -> Binding {
        binding(&self.shared, &self.used.binding)
    }

    /// Returns the decision of the limit with the least left, as [`binding`](Self::binding) does,
    /// without its name.
    pub fn decision(&self) -> Decision {
        self.used.binding.decision
    }

    /// Returns how long the call stood in line.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.used.waited.into()
    }

    /// Gives the permits of all limits back, to waiting calls. What the limits have recovered by
    /// themselves since does not come back twice.
    pub fn refund(mut self) {
        self.shared.refund(&mut self.used);
    }

    /// Renews the [leases](crate::Concurrency::lease) of a call that goes on: they begin anew.
    /// Where there are no leases this changes nothing.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`] when one of the leases had ended and others have its permits by now, or when its
    /// key was reset or forgotten. The call is no longer counted as being in flight, by any of its
    /// limits.
    pub fn renew(&mut self) -> Result<(), LeaseLost> {
        match !self.used.holds || self.shared.renew(&mut self.used) {
            true => Ok(()),
            false => Err(LeaseLost),
        }
    }
}

impl Drop for JointPermit {
    fn drop(&mut self) {
        if self.used.holds {
            self.shared.end(&mut self.used);
        }
    }
}

impl fmt::Debug for JointPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JointPermit").field("binding", &self.binding()).finish_non_exhaustive()
    }
}

/// What a service keeps while one of its calls runs: dropping it says that the call has ended.
///
/// It is empty where calls do not hold the permits of any of their limits, and their costs are not
/// [settled](crate::limiter::Settles) afterwards.
pub struct JointHold(Option<Box<Held>>);

struct Held {
    shared: Arc<Shared>,
    used: Used,
}

impl JointHold {
    pub(super) fn new(shared: &Arc<Shared>, used: Used) -> Self {
        if !used.holds {
            return Self(None);
        }
        Self::open(shared, used)
    }

    /// The same, and never empty: for a call whose costs will be settled.
    pub(super) fn open(shared: &Arc<Shared>, used: Used) -> Self {
        let shared = Arc::clone(shared);
        Self(Some(Box::new(Held { shared, used })))
    }
}

impl JointHold {
    /// Gives the permits of all limits back.
    pub(in crate::limiter) fn refund(&mut self) {
        if let Some(held) = &mut self.0 {
            let Held { shared, used } = &mut **held;
            shared.refund(used);
        }
    }
}

impl<I: IntoIterator<Item = (LimitId, u32)>> Settle<I> for JointHold {
    fn settle(&mut self, costs: I) {
        if let Some(held) = &mut self.0 {
            let Held { shared, used } = &mut **held;
            shared.settle_costs(used, Costs::new(shared.id, costs));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.used.holds {
            self.shared.end(&mut self.used);
        }
    }
}

impl fmt::Debug for JointHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JointHold").field(&self.0.is_some()).finish()
    }
}

/// Permits of several limits that were granted and not used yet. Dropped, all of them go back, to
/// waiting calls.
///
/// They keep as long as those of the limit whose permits keep the
/// [shortest](crate::Algorithm::shelf_life). After that they go back as soon as another caller
/// needs them.
#[must_use = "permits go back when their reservation is dropped"]
pub struct JointReservation {
    shared: Arc<Shared>,
    /// Gone once the reservation was committed.
    ticket: Option<JointTicket>,
}

impl JointReservation {
    fn new(call: &OnLimits, ticket: JointTicket) -> Self {
        Self { shared: Arc::clone(call.shared()), ticket: Some(ticket) }
    }

    /// Uses the permits: the call takes place now.
    ///
    /// # Errors
    ///
    /// [`Perished`] when the permits were too old. They went back.
    pub fn commit(mut self) -> Result<JointPermit, Perished> {
        let ticket = self.ticket.take().ok_or(Perished)?;
        let used = self.shared.commit(ticket.0)?;
        Ok(JointPermit { shared: Arc::clone(&self.shared), used })
    }
}

impl Drop for JointReservation {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.leave(ticket.0);
        }
    }
}

impl fmt::Debug for JointReservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JointReservation").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl JointGranted for JointPermit {
    fn ask(call: &OnLimits, terms: Terms) -> Attempt<Self, JointWaiting> {
        call.take_on(terms).map(|used| Self::new(call, used))
    }

    fn poll(
        call: &OnLimits,
        waiting: Pin<&mut JointWaiting>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self, RateLimited>> {
        waiting.poll_used(cx).map_ok(|used| Self::new(call, used))
    }

    fn block(call: &OnLimits, waiting: Pin<&mut JointWaiting>) -> Result<Self, RateLimited> {
        waiting.block_used().map(|used| Self::new(call, used))
    }
}

impl JointGranted for JointReservation {
    fn ask(call: &OnLimits, terms: Terms) -> Attempt<Self, JointWaiting> {
        call.reserve_on(terms).map(|ticket| Self::new(call, ticket))
    }

    fn poll(
        call: &OnLimits,
        waiting: Pin<&mut JointWaiting>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self, RateLimited>> {
        waiting.poll(cx).map_ok(|ticket| Self::new(call, ticket))
    }

    fn block(call: &OnLimits, waiting: Pin<&mut JointWaiting>) -> Result<Self, RateLimited> {
        waiting.block().map(|ticket| Self::new(call, ticket))
    }
}
