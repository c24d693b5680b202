//! A thread that was held up between its reading of the clock and the lock looks at the past. That
//! is its own loss, and not that of whoever has a permit in hand.

use super::{ms, ticket};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, Ask, Decision, LeakyBucket, Limiter, ManualClock, Nanos, Rate, RateLimiter,
    algorithm::Spent,
};

/// A bucket at which, once it is armed, the next ask takes a minute, under the lock.
struct Slow {
    bucket: LeakyBucket,
    clock: ManualClock,
    is_armed: Arc<AtomicBool>,
    is_in: Arc<AtomicBool>,
}

impl Algorithm for Slow {
    type State = Nanos;

    type Permits = Spent;

    fn decide(&self, empty_at: &mut Nanos, now: Nanos, ask: Ask) -> Decision {
        if self.is_armed.swap(false, Ordering::SeqCst) {
            self.is_in.store(true, Ordering::SeqCst);
            // Long enough for somebody else to read the clock and to come to the lock. Were it
            // too short, the test would find nothing wrong.
            for _ in 0..2000 {
                thread::yield_now();
            }
            self.clock.advance(ms(60_000));
        }
        self.bucket.decide(empty_at, now, ask)
    }

    fn new_at(&self, empty_at: &Nanos) -> Nanos {
        self.bucket.new_at(empty_at)
    }

    fn interval(&self) -> Nanos {
        self.bucket.interval()
    }

    fn shelf_life(&self) -> Nanos {
        self.bucket.shelf_life()
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.bucket.rate(index)
    }

    fn most_in(&self, length: Duration) -> u64 {
        self.bucket.most_in(length)
    }

    fn carry_over(&self, _: &Self, _: &mut Nanos, _: Nanos) {}
}

/// The other one asks at 0 and gets the lock at 60 s, when a permit is kept that was not there at 0.
#[test]
fn a_ticket_is_not_lost_to_a_thread_that_read_the_clock_long_ago() {
    for _ in 0..50 {
        let clock = ManualClock::new();
        let [is_armed, is_in] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(64).unwrap();
        let slow = Slow {
            bucket,
            clock: clock.clone(),
            is_armed: Arc::clone(&is_armed),
            is_in: Arc::clone(&is_in),
        };
        let limiter = RateLimiter::builder(slow).clock(clock).build();
        limiter.commit(ticket(&limiter).unwrap()).unwrap();
        thread::scope(|scope| {
            let limiter = &limiter;
            is_armed.store(true, Ordering::SeqCst);
            scope.spawn(move || {
                while !is_in.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                let _ = limiter.try_acquire();
            });
            let _ = limiter.peek(0);
            limiter.commit(ticket(limiter).unwrap()).unwrap();
            let kept = ticket(limiter).unwrap();
            // The other one looks, at the past.
            for _ in 0..2000 {
                thread::yield_now();
            }
            assert!(limiter.keeps(&kept), "it is not a nanosecond old");
            assert!(limiter.commit(kept).is_ok());
        });
    }
}
