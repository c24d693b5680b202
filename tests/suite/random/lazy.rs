//! Callers that look when they like, or never again: whatever is let go, in order and within the
//! bound, and in the end everybody is served.

use super::{Deed, Kind, Waits, deeds, ms};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::{collections::BTreeMap, task::Poll};
use tokio_test::task::{self, Spawn};
use tower_ratelimit::{
    BurstCompensating, Concurrency, FixedWindow, LeakyBucket, ManualClock, Nanos, Permit,
    RateLimiter, Reason, Reservation, Serialized, SlidingWindow, Strict, TokenBucket,
    limiter::Acquire,
};

/// A call in line that somebody looks after now and then.
struct Waiter<'a, A: Kind> {
    acquire: Spawn<Acquire<'a, A>>,
    waits: Waits,
    asked_at: Nanos,
    /// How far the clock has gone forwards since it looked.
    slept: Nanos,
    /// Whether it ever slept so long that its turn may have gone to others.
    overslept: bool,
    was_sent_away: bool,
}

struct World<'a, A: Kind> {
    limiter: &'a RateLimiter<A>,
    clock: ManualClock,
    shelf_life: Nanos,
    callers: usize,
    waiting: BTreeMap<usize, Waiter<'a, A>>,
    kept: Vec<Reservation<'a, A>>,
    held: Vec<Permit<'a, A>>,
}

fn pick<T>(of: &BTreeMap<usize, T>, which: Index) -> Option<usize> {
    (!of.is_empty()).then(|| *of.keys().nth(which.index(of.len())).unwrap())
}

fn take<T>(of: &mut Vec<T>, which: Index) -> Option<T> {
    (!of.is_empty()).then(|| of.swap_remove(which.index(of.len())))
}

impl<'a, A: Kind> World<'a, A> {
    fn now(&self) -> Nanos {
        self.clock.now()
    }

    fn on(&mut self, by: Nanos) {
        self.clock.advance(by.into());
        self.waiting.values_mut().for_each(|waiter| waiter.slept = waiter.slept + by);
    }

    fn send_away(&mut self) {
        self.waiting.values_mut().for_each(|waiter| waiter.was_sent_away = true);
    }

    /// One that asks, or looks again; whether it is done.
    fn poll(&mut self, caller: usize) -> Result<bool, TestCaseError> {
        let now = self.now();
        let waiter = self.waiting.get_mut(&caller).unwrap();
        waiter.overslept |= std::mem::take(&mut waiter.slept) >= self.shelf_life;
        let Poll::Ready(result) = waiter.acquire.poll() else {
            return Ok(false);
        };
        let waiter = self.waiting.remove(&caller).unwrap();
        match result {
            Ok(permit) => {
                let takes = permit.decision().grant().is_some_and(|grant| grant.cost > 0);
                self.held.push(permit);
                if takes {
                    self.nobody_was_overtaken_by(caller)?;
                }
            }
            Err(refused) => match refused.reason() {
                Reason::Cancelled => prop_assert!(waiter.was_sent_away),
                Reason::TooCostly => {}
                Reason::UsedUp => {
                    let timeout = match waiter.waits {
                        Waits::Forever => Nanos::MAX,
                        Waits::Until(most) => ms(most).into(),
                        // Refused at once where the wait is known.
                        Waits::Not | Waits::AtMost(_) => Nanos::ZERO,
                    };
                    prop_assert!(now >= waiter.asked_at + timeout, "{:?}", refused);
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            },
        }
        Ok(true)
    }

    /// All who asked earlier are let go as well, but for those who slept through it.
    fn nobody_was_overtaken_by(&mut self, caller: usize) -> TestCaseResult {
        let earlier: Vec<_> = self.waiting.range(..caller).map(|(earlier, _)| *earlier).collect();
        for earlier in earlier {
            let is_done = self.poll(earlier)?;
            let is_excused = is_done || self.waiting[&earlier].overslept;
            prop_assert!(is_excused, "{} overtook {}", caller, earlier);
        }
        Ok(())
    }

    fn act(&mut self, deed: Deed) -> TestCaseResult {
        match deed {
            Deed::Acquire(cost, waits) => {
                let acquire = self.limiter.acquire().cost(cost);
                let acquire = task::spawn(match waits {
                    Waits::Not => acquire.max_wait(ms(0)),
                    Waits::AtMost(most) => acquire.max_wait(ms(most)),
                    Waits::Until(most) => acquire.timeout(ms(most)),
                    Waits::Forever => acquire,
                });
                let (asked_at, slept) = (self.now(), Nanos::ZERO);
                let waiter = Waiter {
                    acquire,
                    waits,
                    asked_at,
                    slept,
                    overslept: false,
                    was_sent_away: false,
                };
                self.waiting.insert(self.callers, waiter);
                self.callers += 1;
                self.poll(self.callers - 1)?;
            }
            Deed::Reserve(cost, _) => {
                let acquire = self.limiter.reserve().cost(cost).max_wait(ms(0));
                if let Poll::Ready(Ok(reservation)) = task::spawn(acquire).poll() {
                    self.kept.push(reservation);
                }
            }
            Deed::Try(cost) => self.held.extend(self.limiter.try_acquire_many(cost).ok()),
            Deed::Poll(which) => {
                if let Some(caller) = pick(&self.waiting, which) {
                    self.poll(caller)?;
                }
            }
            Deed::DropWaiter(which) => {
                drop(pick(&self.waiting, which).and_then(|caller| self.waiting.remove(&caller)));
            }
            Deed::Commit(which) => {
                self.held.extend(take(&mut self.kept, which).and_then(|kept| kept.commit().ok()));
            }
            Deed::DropReservation(which) => drop(take(&mut self.kept, which)),
            Deed::End(which) => drop(take(&mut self.held, which)),
            Deed::Refund(which) => {
                if let Some(permit) = take(&mut self.held, which) {
                    permit.refund();
                }
            }
            Deed::Renew(which) => {
                if !self.held.is_empty() {
                    let index = which.index(self.held.len());
                    if self.held[index].renew().is_err() {
                        self.held.remove(index);
                    }
                }
            }
            Deed::Charge(cost) => self.limiter.charge(cost).unwrap(),
            Deed::Cancel => {
                self.limiter.cancel();
                self.send_away();
            }
            Deed::Breach => self.limiter.breach(),
            Deed::Reset => {
                self.limiter.reset();
                self.send_away();
            }
            Deed::Set(which) => {
                let next = which.index(A::several().len());
                self.limiter.set_algorithm(A::several().swap_remove(next));
                let shelf_life = A::several()[next].shelf_life();
                self.shelf_life = self.shelf_life.min(shelf_life);
            }
            Deed::On(by) => self.on(ms(by).into()),
            Deed::Back(by) => self.clock.set((self.now() - Nanos::from(ms(by))).into()),
            Deed::ToTurn(more) => {
                let turn = Nanos::from(self.limiter.peek(1).retry_after().unwrap_or_default());
                self.on(Nanos::new(turn.get().saturating_add_signed(more)));
            }
        }
        Ok(())
    }

    /// With time going on, calls ending and everybody looking, everybody is served.
    fn finish(mut self) -> TestCaseResult {
        for _ in 0..1000 {
            self.kept.clear();
            self.held.clear();
            for caller in self.waiting.keys().copied().collect::<Vec<_>>() {
                if self.waiting.contains_key(&caller) {
                    self.poll(caller)?;
                }
            }
            if self.waiting.is_empty() {
                return Ok(());
            }
            self.on(ms(100).into());
        }
        Err(TestCaseError::fail(format!("{:?} wait for ever", self.waiting.keys())))
    }
}

fn all_are_served_in_order<A: Kind>(deeds: Vec<Deed>) -> TestCaseResult {
    let clock = ManualClock::new();
    clock.set(ms(1000));
    let algorithm = A::several().swap_remove(0);
    let shelf_life = algorithm.shelf_life();
    let limiter = RateLimiter::builder(algorithm).clock(clock.clone()).build();
    let mut world = World {
        limiter: &limiter,
        clock,
        shelf_life,
        callers: 0,
        waiting: BTreeMap::new(),
        kept: Vec::new(),
        held: Vec::new(),
    };
    for deed in deeds {
        world.act(deed)?;
    }
    world.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whoever_looks_late_is_served_in_the_end_and_overtakes_nobody(deeds in deeds(4)) {
        all_are_served_in_order::<LeakyBucket>(deeds.clone())?;
        all_are_served_in_order::<Strict>(deeds.clone())?;
        all_are_served_in_order::<BurstCompensating>(deeds.clone())?;
        all_are_served_in_order::<SlidingWindow>(deeds.clone())?;
        all_are_served_in_order::<TokenBucket>(deeds.clone())?;
        all_are_served_in_order::<FixedWindow>(deeds.clone())?;
        all_are_served_in_order::<Serialized>(deeds.clone())?;
        // What is charged to it comes back when the lease ends.
        all_are_served_in_order::<Concurrency>(deeds)?;
    }
}
