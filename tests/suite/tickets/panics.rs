//! A panic in somebody's algorithm costs a permit for one interval at most.

use super::{Quota, ms, ticket};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, Ask, Decision, Limiter, ManualClock, Nanos, Rate, RateLimiter, algorithm::Spent,
};

type Kind = fn(Ask) -> bool;

/// Panics when it is next asked something of this kind.
struct Panics {
    quota: Quota,
    at: Kind,
    is_armed: Arc<AtomicBool>,
}

impl Algorithm for Panics {
    type State = u32;

    type Permits = Spent;

    fn decide(&self, taken: &mut u32, now: Nanos, ask: Ask) -> Decision {
        if (self.at)(ask) && self.is_armed.swap(false, Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("as it was told to"));
        }
        self.quota.decide(taken, now, ask)
    }

    fn new_at(&self, taken: &u32) -> Nanos {
        self.quota.new_at(taken)
    }

    fn interval(&self) -> Nanos {
        self.quota.interval()
    }

    fn shelf_life(&self) -> Nanos {
        self.quota.shelf_life()
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.quota.rate(index)
    }

    fn most_in(&self, length: Duration) -> u64 {
        self.quota.most_in(length)
    }

    fn carry_over(&self, _: &Self, _: &mut u32, _: Nanos) {}
}

#[test]
fn a_panic_costs_a_ticket_for_one_interval_at_most() {
    let kinds: [(Kind, u32); 3] = [
        (|ask| matches!(ask, Ask::Take(_)), 0),
        // Taken and used before it panicked.
        (|ask| matches!(ask, Ask::Peek(take) if take.cost > 1), 1),
        (|ask| matches!(ask, Ask::GiveBack(_)), 0),
    ];
    for (at, used) in kinds {
        let clock = ManualClock::new();
        let is_armed = Arc::new(AtomicBool::new(false));
        let quota = Quota { permits: 40, shelf_life: Nanos::from(ms(100)) };
        let panics = Panics { quota, at, is_armed: Arc::clone(&is_armed) };
        let limiter = RateLimiter::builder(panics).clock(clock.clone()).build();
        limiter.commit(ticket(&limiter).unwrap()).unwrap();
        let kept = ticket(&limiter).unwrap();
        is_armed.store(true, Ordering::SeqCst);
        let outcome = catch_unwind(AssertUnwindSafe(|| limiter.commit(kept)));
        is_armed.store(false, Ordering::SeqCst);
        let used = 1 + match outcome {
            Ok(Ok(_)) => 1,
            Ok(Err(_)) => 0,
            Err(_) => used,
        };
        // What is kept still has an owner who is gone.
        assert!(limiter.peek(0).remaining >= 40 - used - 1);
        clock.advance(ms(100));
        assert_eq!(limiter.peek(0).remaining, 40 - used);
        // It goes on as before.
        for _ in 0..40 - used {
            limiter.commit(ticket(&limiter).unwrap()).unwrap();
        }
        assert!(ticket(&limiter).is_none());
    }
}
