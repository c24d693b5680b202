//! A limit taken alone is what a limiter of that limit only is, whatever is done to it.

use super::{ms, one_per};
use proptest::prelude::*;
use std::time::Duration;
use tokio_test::task;
use tower_ratelimit::{
    Decision, JointLimiter, KeyedRateLimiter, LeakyBucket, LimitId, ManualClock, Nanos, Rate,
    RateLimited, Reason,
    limiter::{Acquire, JointAcquire, OnLimits},
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

/// What a call got to know: how long it waited, or why not and when to come again.
type Answer = Result<Duration, (Reason, u32, Option<Rate>, Option<Duration>, Option<Duration>)>;

fn answer(result: Result<Duration, RateLimited>) -> Answer {
    result.map_err(|refused| {
        let (rate, after) = (refused.rate(), refused.retry_after());
        // Whoever is sent away is so by no limit in particular, so there is no cost to name.
        let is_sent_away = refused.reason() == Reason::Cancelled;
        let cost = if is_sent_away { 0 } else { refused.cost() };
        (refused.reason(), cost, rate, after, refused.max_wait())
    })
}

fn standing(decision: Decision) -> (u32, Nanos, u32) {
    (decision.remaining, decision.full_after, decision.limit)
}

const KEYS: [&str; 2] = ["a", "b"];

/// The same limit, alone and as one of several.
struct Alike {
    clock: ManualClock,
    single: KeyedRateLimiter<LeakyBucket>,
    joint: JointLimiter,
    id: LimitId,
}

impl Alike {
    fn new(slack: u64) -> Self {
        let clock = ManualClock::new();
        let single = KeyedRateLimiter::builder(bucket(100)).clock(clock.clone());
        let single = single.slack(ms(slack)).max_waiting(4).build();
        let builder = JointLimiter::builder().clock(clock.clone());
        let mut limits = builder.slack(ms(slack)).max_waiting(4);
        limits.limit("idle", one_per(1)).unwrap();
        let id = limits.limit("only", bucket(100)).unwrap();
        Self { clock, single, joint: limits.build(), id }
    }

    fn on(&self, key: usize, cost: u32) -> OnLimits {
        self.joint.on_many(self.id, KEYS[key], cost)
    }

    /// What is not asking.
    fn hold(&self, step: Step) {
        let Self { clock, single, joint, id } = self;
        let key = |key: usize| single.key(KEYS[key]);
        match step {
            Step::Charge(index, cost) => {
                key(index).charge(cost).unwrap();
                self.on(index, 1).charge(cost).unwrap();
            }
            Step::Cancel => {
                single.cancel();
                joint.cancel();
            }
            Step::CancelKey(index) => {
                key(index).cancel();
                self.on(index, 1).cancel();
            }
            Step::Breach => {
                single.breach();
                joint.breach();
            }
            Step::Reset => {
                single.reset();
                joint.reset();
            }
            Step::ResetKey(index) => {
                key(index).reset();
                self.on(index, 1).reset();
            }
            Step::SetAlgorithm(period) => {
                single.set_algorithm(bucket(period));
                joint.set_algorithm(*id, bucket(period)).unwrap();
            }
            Step::Pass(milliseconds) => clock.advance(ms(milliseconds)),
            Step::Try(..) | Step::Acquire(..) | Step::MaxWait(..) | Step::GiveUp(_) => {}
        }
    }
}

type Pair<'a> = (task::Spawn<Acquire<'a, LeakyBucket>>, task::Spawn<JointAcquire>);

proptest! {
    /// Everybody is let go at the same instants and told the same.
    #[test]
    fn one_limit_of_several_is_as_one_alone(
        steps in steps(),
        slack in prop_oneof![Just(0_u64), Just(30)],
    ) {
        let alike = Alike::new(slack);
        let keys = KEYS.map(|key| alike.single.key(key));
        let mut waiting: Vec<Pair<'_>> = Vec::new();
        for step in steps {
            match step {
                Step::Try(key, cost) => {
                    let joint = alike.on(key, cost).try_acquire().map(|permit| permit.waited());
                    let single = keys[key].try_acquire_many(cost).map(|permit| permit.waited());
                    prop_assert_eq!(answer(joint), answer(single));
                }
                Step::Acquire(key, cost) => {
                    let single = task::spawn(keys[key].acquire().cost(cost));
                    waiting.push((single, task::spawn(alike.on(key, cost).acquire())));
                }
                Step::MaxWait(key, cost, wait) => {
                    let single = keys[key].acquire().cost(cost).max_wait(ms(wait));
                    let joint = alike.on(key, cost).acquire().max_wait(ms(wait));
                    waiting.push((task::spawn(single), task::spawn(joint)));
                }
                Step::GiveUp(index) if !waiting.is_empty() => {
                    drop(waiting.remove(index % waiting.len()));
                }
                other => alike.hold(other),
            }
            let mut still = Vec::new();
            for (mut single, mut joint) in waiting {
                let alone = single.poll().map_ok(|permit| permit.waited()).map(answer);
                let among = joint.poll().map_ok(|permit| permit.waited()).map(answer);
                prop_assert_eq!(&among, &alone);
                if alone.is_pending() {
                    still.push((single, joint));
                }
            }
            waiting = still;
            for (key, single) in keys.iter().enumerate() {
                let joint = alike.on(key, 0).peek().decision();
                prop_assert_eq!(standing(joint), standing(single.peek(0)));
            }
        }
    }
}
