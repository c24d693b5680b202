//! A limit taken alone is what a limiter of that limit only is, whatever is done to it.

use super::{ms, one_per};
use proptest::prelude::*;
use std::{task::Poll, time::Duration};
use tokio_test::task;
use tower_ratelimit::{
    Acquire, JointAcquire, JointLimiter, KeyedRateLimiter, LeakyBucket, ManualClock, Rate,
    RateLimited, RateLimiter, Reason,
};

#[derive(Clone, Debug)]
enum Step {
    Try(usize, u32),
    Acquire(usize, u32),
    MaxWait(usize, u32, u64),
    GiveUp(usize),
    Charge(usize, u32),
    Cancel,
    CancelKey(usize),
    Breach,
    Reset,
    ResetKey(usize),
    SetAlgorithm(u64),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, cost) = (0..2_usize, 0..4_u32);
    let step = prop_oneof![
        3 => (key.clone(), cost.clone()).prop_map(|(key, cost)| Step::Try(key, cost)),
        6 => (key.clone(), cost.clone()).prop_map(|(key, cost)| Step::Acquire(key, cost)),
        3 => (key.clone(), cost.clone(), 0..900_u64)
            .prop_map(|(key, cost, wait)| Step::MaxWait(key, cost, wait)),
        2 => (0..9_usize).prop_map(Step::GiveUp),
        2 => (key.clone(), cost).prop_map(|(key, cost)| Step::Charge(key, cost)),
        1 => Just(Step::Cancel),
        1 => key.clone().prop_map(Step::CancelKey),
        1 => Just(Step::Breach),
        1 => Just(Step::Reset),
        1 => key.prop_map(Step::ResetKey),
        1 => prop_oneof![Just(40), Just(100), Just(250)].prop_map(Step::SetAlgorithm),
        8 => (1..150_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..60)
}

fn bucket(milliseconds: u64) -> LeakyBucket {
    let rate = Rate::new(1, ms(milliseconds)).unwrap();
    LeakyBucket::new(rate).capacity(3).unwrap()
}

/// What a call got to know.
type Answer = Result<(), (Reason, u32, Option<Rate>, Option<Duration>, Option<Duration>)>;

fn answer<T>(result: Result<T, RateLimited>) -> Answer {
    result.map(drop).map_err(|refused| {
        let (rate, after) = (refused.rate(), refused.retry_after());
        // Whoever is sent away is so by no limit in particular, so there is no cost to name.
        let is_sent_away = refused.reason() == Reason::Cancelled;
        let cost = if is_sent_away { 0 } else { refused.cost() };
        (refused.reason(), cost, rate, after, refused.max_wait())
    })
}

proptest! {
    #[test]
    fn one_limit_of_several_is_as_one_alone(steps in steps(), slack in prop_oneof![Just(0), Just(30_u64)]) {
        let clock = ManualClock::new();
        let single = KeyedRateLimiter::builder(bucket(100)).clock(clock.clone());
        let single = single.slack(ms(slack)).max_waiting(4).build();
        let keys = ["a", "b"].map(|key| single.key(key));
        let builder = JointLimiter::builder().clock(clock.clone());
        let mut limits = builder.slack(ms(slack)).max_waiting(4);
        let id = limits.limit("only", bucket(100)).unwrap();
        limits.limit("idle", one_per(1)).unwrap();
        let joint = limits.build();
        let on = |key: usize, cost| joint.on_many(id, ["a", "b"][key], cost);
        type Pair<'a> = (task::Spawn<Acquire<'a, LeakyBucket>>, task::Spawn<JointAcquire>);
        let mut waiting: Vec<Pair<'_>> = Vec::new();
        for step in steps {
            match step {
                Step::Try(key, cost) => {
                    let (joint, single) = (on(key, cost), &keys[key]);
                    prop_assert_eq!(answer(joint.try_acquire()), answer(single.try_acquire_many(cost)));
                }
                Step::Acquire(key, cost) => {
                    let single = task::spawn(keys[key].acquire().cost(cost));
                    waiting.push((single, task::spawn(on(key, cost).acquire())));
                }
                Step::MaxWait(key, cost, wait) => {
                    let single = keys[key].acquire().cost(cost).max_wait(ms(wait));
                    let joint = on(key, cost).acquire().max_wait(ms(wait));
                    waiting.push((task::spawn(single), task::spawn(joint)));
                }
                Step::GiveUp(index) if !waiting.is_empty() => {
                    drop(waiting.remove(index % waiting.len()));
                }
                Step::GiveUp(_) => {}
                Step::Charge(key, cost) => {
                    keys[key].charge(cost).unwrap();
                    on(key, 1).charge(cost).unwrap();
                }
                Step::Cancel => (single.cancel(), joint.cancel()).0,
                Step::CancelKey(key) => (RateLimiter::cancel(&keys[key]), on(key, 1).cancel()).0,
                Step::Breach => (single.breach(), joint.breach()).0,
                Step::Reset => (single.reset(), joint.reset()).0,
                Step::ResetKey(key) => (RateLimiter::reset(&keys[key]), on(key, 1).reset()).0,
                Step::SetAlgorithm(period) => {
                    single.set_algorithm(bucket(period));
                    joint.set_algorithm(id, bucket(period)).unwrap();
                }
                Step::Pass(milliseconds) => clock.advance(ms(milliseconds)),
            }
            let mut still = Vec::new();
            for (mut single, mut joint) in waiting {
                match (single.poll(), joint.poll()) {
                    (Poll::Pending, Poll::Pending) => still.push((single, joint)),
                    (Poll::Ready(single), Poll::Ready(joint)) => {
                        let waited = |permit: &tower_ratelimit::JointPermit| permit.waited();
                        prop_assert_eq!(single.as_ref().ok().map(|permit| permit.waited()), joint.as_ref().ok().map(waited));
                        prop_assert_eq!(answer(joint), answer(single));
                    }
                    (single, joint) => {
                        prop_assert!(false, "{:?} alone, but {:?}", single, joint);
                        unreachable!();
                    }
                }
            }
            waiting = still;
            for key in 0..2 {
                let stands = |decision: tower_ratelimit::Decision| (decision.remaining, decision.full_after, decision.limit);
                prop_assert_eq!(stands(on(key, 0).peek().decision()), stands(keys[key].peek(0)));
            }
        }
    }
}
