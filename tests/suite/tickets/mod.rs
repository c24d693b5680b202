//! Tickets: permits that are granted now and used later, given back, forgotten, or not used in time.
//!
//! Those of most limits are taken when they are handed out. A bucket with plenty only promises one,
//! which is taken when it is used.

mod alike;
mod model;
mod threads;
mod behind;
mod promised;
mod panics;
mod late_looks;
mod forgetting;

use std::time::Duration;
use tower_ratelimit::{
    Algorithm, Ask, Decision, Grant, Limiter, Nanos, Outcome, Patience, Rate, RateLimiter,
    SlidingWindow, Terms,
    algorithm::Spent,
    limiter::{Attempt, Ticket},
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn window(permits: u32, milliseconds: u64) -> SlidingWindow {
    SlidingWindow::new(Rate::new(permits, ms(milliseconds)).unwrap())
}

const NOW: Terms = Terms { cost: 1, patience: Patience::Now };

/// A ticket for one permit, or a refusal.
fn ticket<A: Algorithm>(limiter: &RateLimiter<A>) -> Option<Ticket> {
    match Limiter::reserve(limiter, &(), NOW) {
        Attempt::Now(result) => result.ok(),
        Attempt::Later(_) => panic!("a call without patience is answered at once"),
    }
}

/// So many permits, ever; only those given back can be had again. Whatever the clock shows, it
/// counts the same, so that any error in the count stays.
struct Quota {
    permits: u32,
    shelf_life: Nanos,
}

impl Algorithm for Quota {
    /// How many are taken.
    type State = u32;

    type Permits = Spent;

    fn decide(&self, taken: &mut u32, now: Nanos, ask: Ask) -> Decision {
        let outcome = match ask {
            Ask::Take(take) | Ask::Peek(take) if *taken + take.cost <= self.permits => {
                *taken += if matches!(ask, Ask::Take(_)) { take.cost } else { 0 };
                Outcome::Granted(Grant { cost: take.cost, at: now })
            }
            Ask::Take(_) | Ask::Peek(_) => Outcome::InUse(None),
            Ask::Charge(_) => unreachable!("nobody charges"),
            Ask::Renew(grant) | Ask::End(grant) => Outcome::Granted(grant),
            Ask::GiveBack(grant) => {
                *taken = taken.checked_sub(grant.cost).expect("only what was taken goes back");
                Outcome::Granted(grant)
            }
        };
        let remaining = self.permits - *taken;
        Decision { outcome, limit: self.permits, remaining, full_after: Nanos::ZERO, rate: 0 }
    }

    fn new_at(&self, taken: &u32) -> Nanos {
        if *taken == 0 { Nanos::ZERO } else { Nanos::MAX }
    }

    fn interval(&self) -> Nanos {
        self.shelf_life
    }

    fn shelf_life(&self) -> Nanos {
        self.shelf_life
    }

    fn rate(&self, _: usize) -> Option<Rate> {
        None
    }

    fn most_in(&self, _: Duration) -> u64 {
        self.permits.into()
    }

    fn carry_over(&self, _: &Self, _: &mut u32, _: Nanos) {}
}
