//! Calls that come, wait, are let go, forget about it, give up and end, in any order.

use super::{ms, one_per, window};
use proptest::prelude::*;
use std::{pin::Pin, task::Poll};
use tokio_test::task;
use tower_ratelimit::{
    BurstCompensating, Concurrency, JointLimiter, LimitId, ManualClock, Rate,
    limiter::{JointAcquire, JointPermit, JointReservation, OnLimits},
};

#[derive(Clone, Debug)]
enum Step {
    Acquire(Vec<(usize, u32)>),
    Reserve(Vec<(usize, u32)>),
    Try(Vec<(usize, u32)>),
    Peek(Vec<(usize, u32)>),
    Poll(usize),
    GiveUp(usize),
    End(usize),
    Refund(usize),
    Commit(usize),
    GiveBack(usize),
    Charge(Vec<(usize, u32)>),
    Hold(usize, Vec<(usize, u32)>),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let on = || prop::collection::vec((0..4_usize, 0..2_u32), 1..4);
    let step = prop_oneof![
        4 => on().prop_map(Step::Acquire),
        2 => on().prop_map(Step::Reserve),
        2 => on().prop_map(Step::Try),
        1 => on().prop_map(Step::Peek),
        4 => (0..20_usize).prop_map(Step::Poll),
        2 => (0..20_usize).prop_map(Step::GiveUp),
        2 => (0..20_usize).prop_map(Step::End),
        1 => (0..20_usize).prop_map(Step::Refund),
        2 => (0..20_usize).prop_map(Step::Commit),
        1 => (0..20_usize).prop_map(Step::GiveBack),
        1 => on().prop_map(Step::Charge),
        1 => (0..7_usize, on()).prop_map(|(how, parts)| Step::Hold(how, parts)),
        4 => (0..150_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..80)
}

type Spawned<G> = task::Spawn<Pin<Box<JointAcquire<G>>>>;

/// Everything that calls can be at.
#[derive(Default)]
struct World {
    acquiring: Vec<Spawned<JointPermit>>,
    reserving: Vec<Spawned<JointReservation>>,
    running: Vec<JointPermit>,
    reserved: Vec<JointReservation>,
}

fn on(limiter: &JointLimiter, ids: [LimitId; 4], parts: &[(usize, u32)]) -> OnLimits {
    let none = limiter.on_many(ids[0], &0_u32, 0);
    parts.iter().fold(none, |call, (limit, key)| call.on(ids[*limit], key))
}

fn out_of<T>(list: &mut Vec<T>, index: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(index % list.len()))
}

impl World {
    fn poll(&mut self, index: usize) {
        if let Some(mut call) = out_of(&mut self.acquiring, index) {
            match call.poll() {
                Poll::Ready(permit) => self.running.extend(permit),
                Poll::Pending => self.acquiring.insert(index % (self.acquiring.len() + 1), call),
            }
        }
        if let Some(mut call) = out_of(&mut self.reserving, index) {
            match call.poll() {
                Poll::Ready(reserved) => self.reserved.extend(reserved),
                Poll::Pending => self.reserving.insert(index % (self.reserving.len() + 1), call),
            }
        }
    }

    fn step(&mut self, step: Step, clock: &ManualClock, limiter: &JointLimiter, ids: [LimitId; 4]) {
        match step {
            Step::Acquire(parts) => {
                self.acquiring.push(task::spawn(Box::pin(on(limiter, ids, &parts).acquire())));
                self.poll(self.acquiring.len() - 1);
            }
            Step::Reserve(parts) => {
                self.reserving.push(task::spawn(Box::pin(on(limiter, ids, &parts).reserve())));
                self.poll(self.reserving.len() - 1);
            }
            Step::Try(parts) => {
                let call = on(limiter, ids, &parts);
                let peeked = call.peek().decision();
                let tried = call.try_acquire();
                assert_eq!(peeked.is_granted(), tried.is_ok());
                self.running.extend(tried);
            }
            Step::Peek(parts) => drop(on(limiter, ids, &parts).peek()),
            Step::Poll(index) => self.poll(index),
            Step::GiveUp(index) => {
                drop(out_of(&mut self.acquiring, index));
                drop(out_of(&mut self.reserving, index));
            }
            Step::End(index) => drop(out_of(&mut self.running, index)),
            Step::Refund(index) => {
                out_of(&mut self.running, index).into_iter().for_each(JointPermit::refund);
            }
            Step::Commit(index) => {
                let reserved = out_of(&mut self.reserved, index);
                self.running.extend(reserved.and_then(|reserved| reserved.commit().ok()));
            }
            Step::GiveBack(index) => drop(out_of(&mut self.reserved, index)),
            // A charge of calls in flight never ends.
            Step::Charge(parts) => {
                let parts: Vec<_> = parts.into_iter().filter(|part| part.0 != 3).collect();
                on(limiter, ids, &parts).charge(1).unwrap();
            }
            Step::Hold(how, parts) => match how {
                0 => limiter.cancel(),
                1 => limiter.breach(),
                2 => limiter.reset(),
                3 => on(limiter, ids, &parts).cancel(),
                4 => on(limiter, ids, &parts).reset(),
                5 => limiter.set_algorithm(ids[1], one_per(50)).unwrap(),
                _ => limiter.set_algorithm(ids[1], one_per(10)).unwrap(),
            },
            Step::Pass(milliseconds) => clock.advance(ms(milliseconds)),
        }
    }
}

fn limits(clock: &ManualClock) -> (JointLimiter, [LimitId; 4]) {
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let paced = BurstCompensating::new(Rate::per_second(20).unwrap());
    let ids = [
        limits.limit("window", window(6, 100)).unwrap(),
        limits.limit("bucket", one_per(30)).unwrap(),
        limits.limit("paced", paced).unwrap(),
        limits.limit("running", Concurrency::new(3).unwrap()).unwrap(),
    ];
    (limits.build(), ids)
}

proptest! {
    /// Once all have gone, all is as new.
    #[test]
    fn nothing_is_left_behind(steps in steps()) {
        let clock = ManualClock::new();
        let (limiter, ids) = limits(&clock);
        let mut world = World::default();
        for step in steps {
            world.step(step, &clock, &limiter, ids);
        }
        drop(world);
        clock.advance(ms(10_000));
        limiter.evict();
        prop_assert_eq!(limiter.keys(), 0);
        for key in 0..2_u32 {
            let call = limiter.on_many(ids[0], &key, 6).on(ids[1], &key).on(ids[2], &key);
            drop(call.on_many(ids[3], &key, 3).try_acquire().unwrap());
        }
    }

    /// Calls that wait and are never polled again hold up nobody for ever.
    #[test]
    fn nobody_is_held_up_for_ever(steps in steps()) {
        let clock = ManualClock::new();
        let (limiter, ids) = limits(&clock);
        let mut world = World::default();
        for step in steps {
            world.step(step, &clock, &limiter, ids);
        }
        // Calls end; those that wait, and what was reserved, are forgotten.
        world.running.clear();
        for key in 0..2_u32 {
            let call = limiter.on(ids[0], &key).on(ids[1], &key).on(ids[2], &key).on(ids[3], &key);
            let mut last = task::spawn(call.acquire());
            let mut rounds = 0;
            while last.poll().is_pending() {
                clock.advance(ms(100));
                rounds += 1;
                prop_assert!(rounds < 500);
            }
        }
    }
}
