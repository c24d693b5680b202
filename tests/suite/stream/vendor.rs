//! A limiter from elsewhere: every answer takes 20 ms and is yes.

use super::ms;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};
use tokio::time::sleep;
use tower_ratelimit::{
    Key, Limiter, RateLimited, Reason, Terms,
    limiter::{Attempt, Perished},
};

#[derive(Clone, Default)]
pub(super) struct Vendor(Arc<Counts>);

#[derive(Default)]
struct Counts {
    used: AtomicU32,
    given_back: AtomicU32,
    /// How many tickets are still to perish.
    perishing: AtomicU32,
    /// How many calls that want permits at once are still to be refused.
    refusing: AtomicU32,
}

impl Vendor {
    pub(super) fn used(&self) -> u32 {
        self.0.used.load(Relaxed)
    }

    pub(super) fn given_back(&self) -> u32 {
        self.0.given_back.load(Relaxed)
    }

    /// Lets the next tickets perish before they are used.
    pub(super) fn let_perish(&self, tickets: u32) {
        self.0.perishing.store(tickets, Relaxed);
    }

    /// Refuses the next calls that want permits at once.
    pub(super) fn refuse(&self, calls: u32) {
        self.0.refusing.store(calls, Relaxed);
    }
}

impl Limiter for Vendor {
    type Ticket = u32;
    type Hold = ();
    type Wait = Pin<Box<dyn Future<Output = Result<u32, RateLimited>> + Send>>;

    fn reserve<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<u32, Self::Wait> {
        Attempt::Later(Box::pin(async move {
            sleep(ms(20)).await;
            Ok(terms.cost)
        }))
    }

    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
        match self.0.refusing.load(Relaxed) {
            0 => self.reserve(key, terms).map(drop),
            refusing => {
                self.0.refusing.store(refusing - 1, Relaxed);
                Attempt::Now(Err(RateLimited::new(Reason::QueueFull)))
            }
        }
    }

    fn keeps(&self, _: &u32) -> bool {
        true
    }

    fn commit(&self, cost: u32) -> Result<(), Perished> {
        let perishing = self.0.perishing.load(Relaxed);
        if perishing > 0 {
            self.0.perishing.store(perishing - 1, Relaxed);
            return Err(Perished);
        }
        self.0.used.fetch_add(cost, Relaxed);
        Ok(())
    }

    fn give_back(&self, cost: u32) {
        self.0.given_back.fetch_add(cost, Relaxed);
    }
}
