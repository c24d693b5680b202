//! A limiter from outside that never lets anybody through, as one whose backend is down.

use std::{pin::Pin, time::Duration};
use tower_ratelimit::{
    Key, KeyedLimiter, Limiter, RateLimited, Reason, Terms,
    limiter::{Attempt, Perished},
};

/// Refuses every call: at once, or after a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) reason: Reason,
    pub(super) after: Option<Duration>,
}

impl Limiter for Outage {
    type Ticket = ();
    type Hold = ();
    // Not `Sync`, like any boxed future.
    type Wait = Pin<Box<dyn Future<Output = Result<(), RateLimited>> + Send>>;

    fn reserve<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<(), Self::Wait> {
        let refusal = RateLimited::new(self.reason).with_cost(terms.cost);
        match self.after {
            None => Attempt::Now(Err(refusal)),
            Some(after) => Attempt::Later(Box::pin(async move {
                tokio::time::sleep(after).await;
                Err(refusal)
            })),
        }
    }

    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
        self.reserve(key, terms)
    }

    fn keeps(&self, (): &()) -> bool {
        true
    }

    fn commit(&self, (): ()) -> Result<(), Perished> {
        Ok(())
    }

    fn give_back(&self, (): ()) {}
}

impl KeyedLimiter for Outage {}
