//! Callers that all look after each deed: what they find is what the model says, to the grant.

use super::{
    Deed, Kind, Waits, deeds,
    model::{Caller, Fate, Model},
    ms,
};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::{collections::BTreeMap, task::Poll, time::Duration};
use tokio_test::task::{self, Spawn};
use tower_ratelimit::{
    Acquire, Ask, BurstCompensating, Concurrency, Decision, FixedWindow, Grant, LeakyBucket,
    ManualClock, Nanos, Outcome, Permit, Permits, RateLimited, RateLimiter, Reservation,
    Serialized, SlidingWindow, Strict, TokenBucket,
};

/// A call in line, for permits that are used at once or later.
enum Waiter<'a, A: Kind> {
    Uses(Spawn<Acquire<'a, A>>),
    Keeps(Spawn<Acquire<'a, A, Reservation<'a, A>>>),
}

/// A permit, and when it was granted, for those granted since the limit was last changed.
struct Held<'a, A: Kind> {
    permit: Permit<'a, A>,
    grant: Grant,
    is_old: bool,
}

/// A reservation.
struct Kept<'a, A: Kind> {
    reservation: Reservation<'a, A>,
    takes: bool,
    is_old: bool,
}

/// What is in the hands of the callers.
struct World<'a, A: Kind> {
    limiter: &'a RateLimiter<A>,
    clock: ManualClock,
    model: Model<A>,
    several: Vec<A>,
    current: usize,
    /// The latest that the clock has shown.
    latest: Nanos,
    callers: Caller,
    last_granted: Option<Caller>,
    waiting: BTreeMap<Caller, Waiter<'a, A>>,
    kept: BTreeMap<Caller, Kept<'a, A>>,
    held: BTreeMap<Caller, Held<'a, A>>,
    /// When calls took place, since the limit was last changed or the clock was set back.
    calls: BTreeMap<Caller, Nanos>,
    checks_bound: bool,
}

fn grant_of(decision: Decision) -> Grant {
    decision.grant().expect("a permit was granted")
}

fn pick<T>(of: &BTreeMap<Caller, T>, which: Index) -> Option<Caller> {
    (!of.is_empty()).then(|| *of.keys().nth(which.index(of.len())).unwrap())
}

impl<'a, A: Kind> World<'a, A> {
    fn algorithm(&self) -> &A {
        &self.several[self.current]
    }

    /// Lets a call look, and compares what it finds.
    fn look(
        &mut self,
        caller: Caller,
        mut waiter: Waiter<'a, A>,
        expected: Fate,
    ) -> TestCaseResult {
        let refused = match &mut waiter {
            Waiter::Uses(acquire) => match acquire.poll() {
                Poll::Pending => None,
                Poll::Ready(Ok(permit)) => return self.used(caller, permit, expected),
                Poll::Ready(Err(refused)) => Some(refused),
            },
            Waiter::Keeps(acquire) => match acquire.poll() {
                Poll::Pending => None,
                Poll::Ready(Ok(reservation)) => return self.keep(caller, reservation, expected),
                Poll::Ready(Err(refused)) => Some(refused),
            },
        };
        match refused {
            None => {
                prop_assert_eq!(Fate::Waits, expected, "{} waits", caller);
                self.waiting.insert(caller, waiter);
            }
            Some(refused) => Self::is_refused(caller, &refused, expected)?,
        }
        Ok(())
    }

    fn is_refused(caller: Caller, refused: &RateLimited, expected: Fate) -> TestCaseResult {
        let fate = Fate::Refused(refused.reason(), refused.retry_after().map(Nanos::from));
        prop_assert_eq!(fate, expected, "{}", caller);
        Ok(())
    }

    /// Nobody who asked earlier is let go later.
    fn in_order(&mut self, caller: Caller, grant: Grant) -> TestCaseResult {
        if grant.cost > 0 {
            prop_assert!(self.last_granted < Some(caller), "{} overtook", caller);
            self.last_granted = Some(caller);
        }
        Ok(())
    }

    fn used(&mut self, caller: Caller, permit: Permit<'a, A>, expected: Fate) -> TestCaseResult {
        let grant = grant_of(permit.decision());
        match (grant.cost, expected) {
            // When nothing was taken means nothing.
            (0, Fate::Granted(Grant { cost: 0, .. })) => {}
            _ => prop_assert_eq!(Fate::Granted(grant), expected, "{}", caller),
        }
        self.in_order(caller, grant)?;
        self.hold(caller, permit, grant, false)
    }

    fn hold(
        &mut self,
        caller: Caller,
        permit: Permit<'a, A>,
        grant: Grant,
        is_old: bool,
    ) -> TestCaseResult {
        self.held.insert(caller, Held { permit, grant, is_old });
        // What was granted by other parameters may be too much for these.
        if grant.cost == 0 || is_old {
            return Ok(());
        }
        self.calls.insert(caller, grant.at);
        self.not_too_many_in_use(caller)?;
        self.within_the_bound()
    }

    fn keep(
        &mut self,
        caller: Caller,
        reservation: Reservation<'a, A>,
        expected: Fate,
    ) -> TestCaseResult {
        let Fate::Granted(grant) = expected else {
            return Err(TestCaseError::fail(format!("{caller} was granted, not {expected:?}")));
        };
        self.in_order(caller, grant)?;
        let takes = grant.cost > 0;
        self.kept.insert(caller, Kept { reservation, takes, is_old: false });
        Ok(())
    }

    /// As the holders themselves know it.
    fn not_too_many_in_use(&self, caller: Caller) -> TestCaseResult {
        let (Some(most), 1..) = (self.algorithm().most_in_use(), self.held[&caller].grant.cost)
        else {
            return Ok(());
        };
        let holds = |held: &&Held<'_, A>| {
            A::lease().is_none_or(|lease| self.latest < held.grant.at + Nanos::new(lease))
        };
        let in_use: u32 = self.held.values().filter(holds).map(|held| held.grant.cost).sum();
        prop_assert!(in_use <= most, "{} in use of {}", in_use, most);
        Ok(())
    }

    fn ask(&mut self, waiter: Waiter<'a, A>, cost: u32, waits: Waits) -> TestCaseResult {
        let caller = self.callers;
        self.callers += 1;
        let uses = matches!(waiter, Waiter::Uses(_));
        let algorithm = &self.several[self.current];
        let mut expected = self.model.ask(algorithm, caller, cost, waits, uses);
        if expected == Fate::Waits {
            // It looks as soon as it stands in line: its time may be over.
            let all = self.model.look(algorithm);
            expected = all.into_iter().find(|(other, _)| *other == caller).unwrap().1;
        }
        self.look(caller, waiter, expected)
    }

    fn try_now(&mut self, cost: u32) -> TestCaseResult {
        let caller = self.callers;
        self.callers += 1;
        let algorithm = &self.several[self.current];
        let expected = self.model.ask(algorithm, caller, cost, Waits::Not, true);
        match self.limiter.try_acquire_many(cost) {
            Ok(permit) => self.used(caller, permit, expected),
            Err(refused) => Self::is_refused(caller, &refused, expected),
        }
    }

    fn commit(&mut self, caller: Caller) -> TestCaseResult {
        let Kept { reservation, takes, is_old } = self.kept.remove(&caller).unwrap();
        let committed = reservation.commit();
        let expected = self.model.commit(&self.several[self.current], caller);
        if !takes {
            // They are good for nothing, as long as they last.
            return Ok(());
        }
        prop_assert_eq!(committed.is_ok(), expected.is_some(), "{}", caller);
        if let Ok(permit) = committed {
            let grant = grant_of(permit.decision());
            prop_assert_eq!(Some(grant), expected);
            self.hold(caller, permit, grant, is_old)?;
        }
        Ok(())
    }

    fn settle(&mut self, ask: impl FnOnce(Grant) -> Ask, grant: Grant) -> Option<Outcome> {
        let algorithm = &self.several[self.current];
        (grant.cost > 0).then(|| self.model.settle(algorithm, ask(grant)))
    }

    fn renew(&mut self, caller: Caller) -> TestCaseResult {
        let mut held = self.held.remove(&caller).unwrap();
        let renewed = held.permit.renew();
        let expected = self.settle(Ask::Renew, held.grant).and_then(|outcome| match outcome {
            Outcome::Granted(grant) => Some(grant),
            _ => None,
        });
        prop_assert_eq!(renewed.is_ok(), expected.is_some() || held.grant.cost == 0);
        if let Some(grant) = expected {
            let was_lost =
                A::lease().is_some_and(|lease| self.latest >= held.grant.at + Nanos::new(lease));
            held.grant = grant;
            self.held.insert(caller, held);
            // One in time keeps its permits, also above a capacity that has shrunk.
            if was_lost {
                self.not_too_many_in_use(caller)?;
            }
        } else if held.grant.cost == 0 {
            self.held.insert(caller, held);
        }
        Ok(())
    }

    /// What was granted before counts no more for what is checked.
    fn begin_anew(&mut self) {
        self.calls.clear();
        self.held.values_mut().for_each(|held| held.is_old = true);
        self.kept.values_mut().for_each(|kept| kept.is_old = true);
    }

    fn set_clock(&mut self, to: Nanos) {
        if to < self.model.now {
            self.begin_anew();
        }
        self.clock.set(to.into());
        self.model.now = to;
        self.latest = self.latest.max(to);
    }

    fn act(&mut self, deed: Deed) -> TestCaseResult {
        let now = self.model.now;
        match deed {
            Deed::Acquire(cost, waits) => {
                let acquire = on_terms(self.limiter.acquire().cost(cost), waits);
                return self.ask(Waiter::Uses(task::spawn(acquire)), cost, waits);
            }
            Deed::Reserve(cost, waits) => {
                let acquire = on_terms(self.limiter.reserve().cost(cost), waits);
                return self.ask(Waiter::Keeps(task::spawn(acquire)), cost, waits);
            }
            Deed::Try(cost) => return self.try_now(cost),
            Deed::DropWaiter(which) => {
                if let Some(caller) = pick(&self.waiting, which) {
                    drop(self.waiting.remove(&caller));
                    self.model.drop_waiter(&self.several[self.current], caller);
                }
            }
            // All look anyhow.
            Deed::Poll(_) => {}
            Deed::Commit(which) => {
                if let Some(caller) = pick(&self.kept, which) {
                    return self.commit(caller);
                }
            }
            Deed::DropReservation(which) => {
                if let Some(caller) = pick(&self.kept, which) {
                    drop(self.kept.remove(&caller));
                    self.model.drop_reservation(&self.several[self.current], caller);
                }
            }
            Deed::End(which) => {
                if let Some(caller) = pick(&self.held, which) {
                    let held = self.held.remove(&caller).unwrap();
                    drop(held.permit);
                    if A::Permits::HELD {
                        self.settle(Ask::End, held.grant);
                    }
                }
            }
            Deed::Refund(which) => {
                if let Some(caller) = pick(&self.held, which)
                    && !self.held[&caller].is_old
                {
                    let held = self.held.remove(&caller).unwrap();
                    held.permit.refund();
                    self.calls.remove(&caller);
                    self.settle(Ask::GiveBack, held.grant);
                }
            }
            Deed::Renew(which) => {
                if let Some(caller) = pick(&self.held, which)
                    && A::Permits::HELD
                {
                    return self.renew(caller);
                }
            }
            Deed::Charge(cost) => {
                // Nobody ends what is charged to those in flight.
                if self.algorithm().most_in_use().is_none() {
                    self.limiter.charge(cost).unwrap();
                    self.model.settle(&self.several[self.current], Ask::Charge(cost));
                    self.begin_anew();
                }
            }
            Deed::Cancel => {
                self.limiter.cancel();
                self.model.send_away();
            }
            Deed::Breach => {
                self.limiter.breach();
                self.model.breach();
            }
            Deed::Reset => {
                self.limiter.reset();
                self.model.reset();
                self.begin_anew();
                // Calls from before are not in the books any more.
                std::mem::take(&mut self.held).into_values().for_each(std::mem::forget);
            }
            Deed::Set(which) => {
                let next = which.index(self.several.len());
                self.limiter.set_algorithm(A::several().swap_remove(next));
                self.model.set(&self.several[self.current], &self.several[next]);
                self.current = next;
                self.begin_anew();
            }
            Deed::On(by) => self.set_clock(now + ms(by).into()),
            Deed::Back(by) => self.set_clock(now - Nanos::from(ms(by))),
            Deed::ToTurn(more) => {
                let turn = self.limiter.peek(1).retry_after().unwrap_or_default();
                let to = (now + turn.into()).get().saturating_add_signed(more);
                self.set_clock(Nanos::new(to).max(now));
            }
        }
        Ok(())
    }

    /// All look, and everything holds.
    fn check(&mut self) -> TestCaseResult {
        // Somebody looks, as timers and newcomers do.
        let _ = self.limiter.peek(0);
        let all = self.model.look(&self.several[self.current]);
        prop_assert!(all.iter().map(|(caller, _)| caller).eq(self.waiting.keys()), "{all:?}");
        for (caller, expected) in all {
            let waiter = self.waiting.remove(&caller).unwrap();
            self.look(caller, waiter, expected)?;
        }
        prop_assert!(!self.model.waits_in_vain(&self.several[self.current]));
        Ok(())
    }

    fn within_the_bound(&self) -> TestCaseResult {
        if !self.checks_bound {
            return Ok(());
        }
        let mut calls: Vec<u64> = self.calls.values().map(|at| at.get()).collect();
        calls.sort_unstable();
        for (first, from) in calls.iter().enumerate() {
            for (last, to) in calls.iter().enumerate().skip(first) {
                let length = Duration::from_nanos(to - from + 1);
                let most = self.algorithm().most_in(length);
                prop_assert!(
                    (last - first) < usize::try_from(most).unwrap_or(usize::MAX),
                    "{length:?} of {calls:?}"
                );
            }
        }
        Ok(())
    }

    /// With time going on and all calls ending, everybody is served.
    fn finish(mut self) -> TestCaseResult {
        for _ in 0..10_000 {
            if self.waiting.is_empty() {
                return Ok(());
            }
            for caller in self.kept.keys().copied().collect::<Vec<_>>() {
                self.commit(caller)?;
            }
            while let Some(caller) = self.held.keys().next().copied() {
                let held = self.held.remove(&caller).unwrap();
                drop(held.permit);
                if A::Permits::HELD {
                    self.settle(Ask::End, held.grant);
                }
            }
            self.check()?;
            self.set_clock(self.model.now + ms(50).into());
            self.check()?;
        }
        Err(TestCaseError::fail(format!("{:?} wait for ever", self.waiting.keys())))
    }
}

fn on_terms<'a, A: Kind, G: tower_ratelimit::Granted<'a, A>>(
    acquire: Acquire<'a, A, G>,
    waits: Waits,
) -> Acquire<'a, A, G> {
    match waits {
        Waits::Not => acquire.max_wait(Duration::ZERO),
        Waits::AtMost(most) => acquire.max_wait(ms(most)),
        Waits::Until(most) => acquire.timeout(ms(most)),
        Waits::Forever => acquire,
    }
}

fn all_promises_hold<A: Kind>(deeds: Vec<Deed>, checks_bound: bool) -> TestCaseResult {
    let clock = ManualClock::new();
    clock.set(ms(1000));
    let limiter = RateLimiter::builder(A::several().swap_remove(0)).clock(clock.clone()).build();
    let mut world = World {
        limiter: &limiter,
        clock,
        model: Model::new(),
        several: A::several(),
        current: 0,
        latest: Nanos::ZERO,
        callers: 0,
        last_granted: None,
        waiting: BTreeMap::new(),
        kept: BTreeMap::new(),
        held: BTreeMap::new(),
        calls: BTreeMap::new(),
        checks_bound,
    };
    world.set_clock(Nanos::from(ms(1000)));
    for deed in deeds {
        world.act(deed)?;
        world.check()?;
    }
    world.finish()
}

macro_rules! for_each_kind {
    ($($name:ident: $kind:ty),*) => { $(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]

            #[test]
            fn $name(some in deeds(4), single in deeds(1)) {
                all_promises_hold::<$kind>(some, false)?;
                all_promises_hold::<$kind>(single, true)?;
            }
        }
    )* };
}

for_each_kind! {
    a_leaky_bucket_keeps_its_promises: LeakyBucket,
    a_strict_limit_keeps_its_promises: Strict,
    a_burst_compensating_limit_keeps_its_promises: BurstCompensating,
    a_sliding_window_keeps_its_promises: SlidingWindow,
    a_token_bucket_keeps_its_promises: TokenBucket,
    a_fixed_window_keeps_its_promises: FixedWindow,
    a_limit_of_calls_in_flight_keeps_its_promises: Concurrency,
    a_serialized_limit_keeps_its_promises: Serialized
}
