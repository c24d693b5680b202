//! Limits with an algorithm from outside, which see what they are asked.

use super::one_per;
use std::sync::{Arc, Mutex};
use tower_ratelimit::{
    Algorithm, Ask, Decision, JointLimiter, LeakyBucket, ManualClock, Nanos, Outcome, Quota, Rate,
    Spent,
};

/// A bucket that writes down what it is asked, and can break its word.
#[derive(Clone)]
struct Watched {
    bucket: LeakyBucket,
    asks: Arc<Mutex<Vec<Nanos>>>,
    lies: Arc<Mutex<Lies>>,
}

/// About what it does.
#[derive(Clone, Copy, Default, PartialEq)]
enum Lies {
    #[default]
    Nothing,
    /// It refuses a take that it said it would grant.
    Take,
    /// It refuses at a peek, and grants the take.
    Peek,
}

impl Watched {
    fn new() -> Self {
        let (asks, lies) = Default::default();
        Self { bucket: one_per(100), asks, lies }
    }
}

impl Algorithm for Watched {
    type State = <LeakyBucket as Algorithm>::State;
    type Permits = Spent;

    fn decide(&self, state: &mut Self::State, now: Nanos, ask: Ask) -> Decision {
        self.asks.lock().unwrap().push(now);
        match (ask, *self.lies.lock().unwrap()) {
            (Ask::Take(take), Lies::Take) | (Ask::Peek(take), Lies::Peek) if take.cost > 0 => {
                let decision = self.bucket.decide(state, now, Ask::Peek(take));
                Decision { outcome: Outcome::Later(Nanos::new(1)), ..decision }
            }
            (ask, _) => self.bucket.decide(state, now, ask),
        }
    }

    fn new_at(&self, state: &Self::State) -> Nanos {
        self.bucket.new_at(state)
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

    fn most_in(&self, length: std::time::Duration) -> u64 {
        self.bucket.most_in(length)
    }

    fn carry_over(&self, before: &Self, state: &mut Self::State, now: Nanos) {
        self.bucket.carry_over(&before.bucket, state, now);
    }
}

/// On a clock that moves from one look to the next.
#[test]
fn all_limits_are_asked_about_the_same_instant() {
    let watched = Watched::new();
    let mut limits = JointLimiter::builder();
    let ids = ["a", "b", "c"].map(|name| limits.limit(name, watched.clone()).unwrap());
    let limiter = limits.build();
    let call = ids.iter().fold(limiter.on(ids[0], "x"), |call, id| call.on(*id, "y"));
    for _ in 0..3 {
        let _ = call.try_acquire();
        let asks = std::mem::take(&mut *watched.asks.lock().unwrap());
        assert!(asks.len() >= 4, "one for each key");
        assert!(asks.iter().all(|now| *now == asks[0]), "{asks:?}");
    }
}

#[test]
fn nothing_is_taken_of_any_limit_when_one_does_not_keep_its_word() {
    for lies in [Lies::Take, Lies::Peek] {
        let watched = Watched::new();
        let mut limits = JointLimiter::builder().clock(ManualClock::new());
        let quota = limits.limit("quota", Quota::new(5).unwrap()).unwrap();
        let liar = limits.limit("liar", watched.clone()).unwrap();
        let limiter = limits.build();
        let call = limiter.on(quota, &()).on(liar, &());
        *watched.lies.lock().unwrap() = lies;
        assert_eq!(call.try_acquire().unwrap_err().limit(), Some("liar"));
        assert_eq!(limiter.on_many(quota, &(), 0).peek().decision().remaining, 5);
        *watched.lies.lock().unwrap() = Lies::Nothing;
        drop(call.try_acquire().unwrap());
    }
}
