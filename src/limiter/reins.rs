//! Changing limits while they are in use.

use super::{KeyedRateLimiter, RateLimiter};
use crate::algorithm::Algorithm;
use std::sync::Arc;

impl<A: Algorithm> RateLimiter<A> {
    /// Fails all waiting calls with [`Cancelled`](crate::Reason::Cancelled). Nothing else changes.
    pub fn cancel(&self) {
        self.shared().cancel_key(self.key());
    }

    /// Lets all calls pass until [`end_breach`](Self::end_breach), the waiting ones first and in
    /// order, and takes nothing for them. Where there are keys, it does so for all of them. What was
    /// [closed](Self::close) stays closed.
    ///
    /// ```
    /// use tower_ratelimit::{Rate, RateLimiter, Reason, Strict};
    ///
    /// let limiter = RateLimiter::new(Strict::new(Rate::per_day(1)?));
    /// limiter.try_acquire().expect("the first of the day");
    /// limiter.breach();
    /// for _ in 0..100 {
    ///     limiter.try_acquire().expect("the gate is open");
    /// }
    /// limiter.end_breach();
    /// limiter.try_acquire().expect_err("one a day again");
    /// limiter.close();
    /// assert_eq!(limiter.try_acquire().unwrap_err().reason(), Reason::Closed);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn breach(&self) {
        self.shared().breach();
    }

    /// Limits again after a [`breach`](Self::breach), by the state from before it. Where there are
    /// keys, it does so for all of them. What was [closed](Self::close) stays closed.
    pub fn end_breach(&self) {
        self.shared().end_breach();
    }

    /// Resets the limit (of this key, where there are keys) to fresh state: waiting calls fail with
    /// [`Cancelled`](crate::Reason::Cancelled), reserved permits become void, and the next call
    /// passes at once. It ends a [`breach`](Self::breach), unless that is one of all keys, and does
    /// not reopen what was [closed](Self::close).
    ///
    /// A call that began before is not counted any more when it ends or is refunded; where there are
    /// keys, the refund of one that began before the reset of its key counts for the calls after it.
    pub fn reset(&self) {
        self.shared().reset_key(self.key());
    }

    /// Closes the limiter (of all keys, where there are keys): waiting calls and all later ones
    /// fail with [`Closed`](crate::Reason::Closed). Closing it twice changes nothing.
    pub fn close(&self) {
        self.shared().close();
    }

    /// Replaces the algorithm (of all keys, where there are keys), for waiting calls as well.
    ///
    /// What is outstanding stays outstanding and the last tick of a grid stays: calls in line
    /// that would have come 1 s apart come 100 ms apart after a change from one to ten a second, on from
    /// the tick before the change. A permit from before it that goes back after it lets one call more
    /// pass, whatever is outstanding then.
    ///
    /// ```
    /// use tower_ratelimit::{RateLimiter, LeakyBucket, Rate};
    ///
    /// let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_second(10)?));
    /// limiter.set_algorithm(LeakyBucket::new(Rate::per_second(100)?).capacity(20)?);
    /// assert_eq!(limiter.peek(0).limit, 20);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn set_algorithm(&self, algorithm: A) {
        self.shared().set_algorithm(algorithm);
    }

    /// Returns the algorithm of the limit.
    #[must_use]
    pub fn algorithm(&self) -> Arc<A> {
        self.shared().lanes.rules().algorithm
    }
}

impl<A: Algorithm> KeyedRateLimiter<A> {
    /// Fails the waiting calls of all keys with [`Cancelled`](crate::Reason::Cancelled). Nothing
    /// else changes.
    pub fn cancel(&self) {
        self.shared().cancel();
    }

    /// Lets all calls pass until [`end_breach`](Self::end_breach), the waiting ones first and in
    /// order, and takes nothing for them. What was [closed](Self::close) stays closed.
    pub fn breach(&self) {
        self.shared().breach();
    }

    /// Limits again after a [`breach`](Self::breach), by the states from before it. What was
    /// [closed](Self::close) stays closed.
    pub fn end_breach(&self) {
        self.shared().end_breach();
    }

    /// Resets all keys to fresh state: waiting calls fail with
    /// [`Cancelled`](crate::Reason::Cancelled), reserved permits become void, and the next call
    /// passes at once. It ends a [`breach`](Self::breach), but does not reopen what was
    /// [closed](Self::close).
    pub fn reset(&self) {
        self.shared().reset();
    }

    /// Closes the limiter: waiting calls and all later ones fail with
    /// [`Closed`](crate::Reason::Closed). Closing it twice changes nothing.
    pub fn close(&self) {
        self.shared().close();
    }

    /// Replaces the algorithm of all keys, for waiting calls as well.
    ///
    /// What is outstanding stays outstanding and the last tick of a grid stays: calls in line
    /// that would have come 1 s apart come 100 ms apart after a change from one to ten a second, on from
    /// the tick before the change. A permit from before it that goes back after it lets one call more
    /// pass, whatever is outstanding then. Of a key that no call waits for, what calls could not have
    /// taken of the new limit is [cut off](crate::Algorithm::carry_over_unattended).
    ///
    /// ```
    /// use tower_ratelimit::{KeyedRateLimiter, LeakyBucket, Rate};
    ///
    /// let limiter = KeyedRateLimiter::new(LeakyBucket::new(Rate::per_second(10)?));
    /// limiter.set_algorithm(LeakyBucket::new(Rate::per_second(100)?).capacity(20)?);
    /// assert_eq!(limiter.key("alice").peek(0).limit, 20);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn set_algorithm(&self, algorithm: A) {
        self.shared().set_algorithm(algorithm);
    }

    /// Returns the algorithm of the limits.
    #[must_use]
    pub fn algorithm(&self) -> Arc<A> {
        self.shared().lanes.rules().algorithm
    }
}
