//! Limits with an algorithm from outside, which see what they are asked.

use super::{in_line, ms, one_per};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};
use tokio_test::{assert_pending, assert_ready_ok};
use tower_ratelimit::{
    Algorithm, Ask, Decision, JointLimiter, LeakyBucket, ManualClock, Nanos, Outcome, Quota, Rate,
    algorithm::Spent,
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
    /// It panics.
    Panic,
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
        let lies = *self.lies.lock().unwrap();
        match (ask, lies) {
            (_, Lies::Panic) => panic!("a mistake of somebody's own"),
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

#[test]
fn a_panic_of_an_algorithm_leaves_its_line_as_it_was() {
    let (clock, watched) = (ManualClock::new(), Watched::new());
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let quota = limits.limit("quota", Quota::new(5).unwrap()).unwrap();
    let own = limits.limit("own", watched.clone()).unwrap();
    let limiter = limits.build();
    let call = limiter.on(quota, &()).on(own, &());
    drop(call.try_acquire().unwrap());
    let (mut first, mut second) = (in_line(&call), in_line(&call));
    clock.set(ms(100));
    *watched.lies.lock().unwrap() = Lies::Panic;
    catch_unwind(AssertUnwindSafe(|| call.try_acquire().map(drop))).unwrap_err();
    *watched.lies.lock().unwrap() = Lies::Nothing;
    // It is the first still, and served when it looks.
    assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    clock.set(ms(200));
    assert_ready_ok!(second.poll());
    assert_eq!(limiter.on_many(quota, &(), 0).peek().decision().remaining, 2);
}

#[test]
fn one_that_leaves_after_a_panic_of_an_algorithm_makes_way() {
    let (clock, watched) = (ManualClock::new(), Watched::new());
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let own = limits.limit("own", watched.clone()).unwrap();
    let call = limits.build().on(own, &());
    drop(call.try_acquire().unwrap());
    let mut waiting = in_line(&call);
    clock.set(ms(100));
    *watched.lies.lock().unwrap() = Lies::Panic;
    catch_unwind(AssertUnwindSafe(|| waiting.poll().map(drop))).unwrap_err();
    *watched.lies.lock().unwrap() = Lies::Nothing;
    drop(waiting);
    drop(call.try_acquire().unwrap());
}
