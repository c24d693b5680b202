//! Changing single keys while they are in use.

use super::{OnLimits, keys::NoRoom, limit::limits_of};
use crate::{
    error::{RateLimited, Reason},
    events,
    limiter::{Patience, Terms},
};
use std::sync::Arc;

impl OnLimits {
    /// Takes permits of all its limits whether they are available or not: for a call that turned
    /// out to cost more than it asked for, or as a penalty. A cost other than 1 multiplies its own.
    /// What is missing is a debt, and no call passes before it is paid off.
    ///
    /// ```
    /// use tower_ratelimit::{JointLimiter, LeakyBucket, Rate};
    ///
    /// let mut limits = JointLimiter::builder();
    /// let requests = limits.limit("requests", LeakyBucket::new(Rate::per_second(10)?))?;
    /// let tokens = LeakyBucket::new(Rate::per_second(100)?).capacity(50)?;
    /// let tokens = limits.limit("tokens", tokens)?;
    /// let limiter = limits.build();
    /// let call = limiter.on(requests, "alice").on_many(tokens, "alice", 10);
    /// call.try_acquire().expect("ten of fifty");
    /// limiter.on(tokens, "alice").charge(140)?; // it was a long answer
    /// let refused = call.try_acquire().unwrap_err();
    /// assert_eq!(refused.limit(), Some("tokens"));
    /// let wait = refused.retry_after().expect("once it is paid off");
    /// assert_eq!(wait.as_secs_f64().round(), 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TooManyKeys`](Reason::TooManyKeys) when one of the keys is not kept and there is no room for
    /// it, and [`UnknownLimit`](Reason::UnknownLimit). Nothing is taken then.
    pub fn charge(&self, cost: u32) -> Result<(), RateLimited> {
        let terms = Terms { cost, patience: Patience::Forever };
        let parts = self.parts(terms)?;
        let charged = self.shared().with(|board, now| board.charge(parts, now));
        charged.map_err(|NoRoom(part)| {
            let refusal = RateLimited::new(Reason::TooManyKeys).with_cost(part.cost);
            refusal.with_limit(Arc::clone(&self.shared().names[part.lane.limit]))
        })
    }

    /// Uses permits up, as far as they are there, for a call that takes place elsewhere.
    pub(in crate::limiter) fn use_up(&self) {
        self.shared().with(|board, now| board.use_up(self.parts.clone(), now));
    }

    /// Fails all calls that wait for one of these keys with [`Cancelled`](Reason::Cancelled).
    /// Nothing else changes. Keys of another limiter are ignored.
    pub fn cancel(&self) {
        self.log("cancel_key");
        self.shared().with(|board, now| board.cancel_lanes(&self.parts, now));
    }

    /// Resets these keys to fresh state: calls that wait for one of them fail with
    /// [`Cancelled`](Reason::Cancelled), and reserved permits of them become void. Other keys stay
    /// as they are; only what was reserved of them by such calls goes back.
    ///
    /// A call that began before is not counted any more by these keys when it ends or is refunded.
    /// It does not end a [breach](super::JointLimiter::breach), nor reopen what was
    /// [closed](super::JointLimiter::close).
    ///
    /// ```
    /// use tower_ratelimit::{JointLimiter, Quota};
    ///
    /// let mut limits = JointLimiter::builder();
    /// let per_user = limits.limit("per user", Quota::new(1)?)?;
    /// let over_all = limits.limit("over all", Quota::new(100)?)?;
    /// let limiter = limits.build();
    /// let call = limiter.on(per_user, "alice").on(over_all, &());
    /// call.try_acquire().expect("the only one");
    /// limiter.on(per_user, "alice").reset(); // she has paid for another one
    /// let permit = call.try_acquire().expect("one more");
    /// assert_eq!(limiter.on_many(over_all, &(), 0).peek().decision().remaining, 98);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn reset(&self) {
        self.log("reset_key");
        self.shared().with(|board, now| board.reset_lanes(&self.parts, now));
    }

    /// Lets the operator know. What is done to a key does not say to which.
    fn log(&self, action: &'static str) {
        for limit in limits_of(&self.parts) {
            events::control(Some(&self.shared().names[limit]), action);
        }
    }
}
