//! A limiter, and those who deal with it.

use super::{
    deeds::{Deed, Key, Waits},
    ms,
    whole::Whole,
};
use proptest::sample::Index;
use std::{fmt::Debug, task::Poll, time::Duration};
use tokio_test::task::{Spawn, spawn};
use tower_ratelimit::{
    Algorithm, Limiter, ManualClock, Nanos, Patience, Permit, RateLimited, RateLimiter, Reason,
    Reservation, Terms,
    algorithm::Spent,
    limiter::{Acquire, Attempt, Granted, Settle, Settles},
};

enum Waiter<'a, A: Algorithm> {
    Uses(Spawn<Acquire<'a, A>>),
    Keeps(Spawn<Acquire<'a, A, Reservation<'a, A>>>),
}

pub(super) struct Side<'a, A: Algorithm> {
    whole: &'a Whole<A>,
    limits: &'a [RateLimiter<A>],
    several: &'a [A],
    clock: ManualClock,
    waiting: Vec<Waiter<'a, A>>,
    kept: Vec<Reservation<'a, A>>,
    used: Vec<Permit<'a, A>>,
}

impl<'a, A: Algorithm<Permits = Spent> + Clone> Side<'a, A> {
    /// The clock has to be that of the limiter.
    pub(super) fn new(
        whole: &'a Whole<A>,
        limits: &'a [RateLimiter<A>],
        several: &'a [A],
        clock: ManualClock,
    ) -> Self {
        let (waiting, kept, used) = (Vec::new(), Vec::new(), Vec::new());
        Self { whole, limits, several, clock, waiting, kept, used }
    }

    fn limit(&self, key: Key) -> &'a RateLimiter<A> {
        key.get(self.limits)
    }

    /// Does it, and says all there is to say about what came of it.
    pub(super) fn perform(&mut self, deed: Deed) -> String {
        match deed {
            Deed::Try(key, cost) => self.used(self.limit(key).try_acquire_many(cost)),
            Deed::Settle(key, cost, costs) => {
                let terms = Terms { cost, patience: Patience::Now };
                match self.limit(key).take_open(&(), terms) {
                    Attempt::Now(Ok(mut account)) => {
                        account.settle(costs);
                        "settled".into()
                    }
                    Attempt::Now(Err(refusal)) => say(refusal),
                    Attempt::Later(_) => panic!("a call without patience is answered at once"),
                }
            }
            Deed::Acquire(key, cost, waits) => {
                let acquire = on_terms(self.limit(key).acquire().cost(cost), waits);
                self.look(Waiter::Uses(spawn(acquire)))
            }
            Deed::Reserve(key, cost, waits) => {
                let acquire = on_terms(self.limit(key).reserve().cost(cost), waits);
                self.look(Waiter::Keeps(spawn(acquire)))
            }
            Deed::Poll(which) => match pick(&mut self.waiting, which) {
                Some(waiter) => self.look(waiter),
                None => "nobody waits".into(),
            },
            Deed::Leave(which) => say(pick(&mut self.waiting, which).is_some()),
            Deed::Commit(which) => match pick(&mut self.kept, which).map(Reservation::commit) {
                Some(Ok(permit)) => self.used(Ok(permit)),
                other => say(other.is_some()),
            },
            Deed::Drop(which) => say(pick(&mut self.kept, which).is_some()),
            Deed::Refund(which) => match pick(&mut self.used, which) {
                Some(permit) => {
                    permit.refund();
                    "refunded".into()
                }
                None => "nobody has any".into(),
            },
            Deed::Peek(key, cost) => say(self.limit(key).peek(cost)),
            Deed::Standing(key) => {
                let (asked, mut told) = (RateLimited::new(Reason::UsedUp), Vec::new());
                self.limit(key).standing(&(), Err(&asked), &mut |limit| told.push(say(limit)));
                told.join(", ")
            }
            Deed::Charge(key, cost) => say(self.limit(key).charge(cost)),
            _ => {
                self.take_hold(deed);
                String::new()
            }
        }
    }

    /// Does what nobody is told anything of.
    fn take_hold(&self, deed: Deed) {
        let next = |which: Index| which.get(self.several).clone();
        match (deed, self.whole) {
            (Deed::Cancel(key), _) => self.limit(key).cancel(),
            (Deed::Breach, _) => self.limits[0].breach(),
            (Deed::Close, _) => self.limits[0].close(),
            (Deed::Reset(key), _) => self.limit(key).reset(),
            (Deed::Set(which), _) => self.limits[0].set_algorithm(next(which)),
            (Deed::CancelAll, Whole::Many(limiter)) => limiter.cancel(),
            (Deed::ResetAll, Whole::Many(limiter)) => limiter.reset(),
            (Deed::SetFor(key, which), Whole::Many(limiter)) => {
                limiter.set_algorithm_for(&self.number(key), next(which)).unwrap();
            }
            (Deed::Forget(key), Whole::Many(limiter)) => limiter.forget(&self.number(key)),
            // How many those are is not promised.
            (Deed::Evict, Whole::Many(limiter)) => drop(limiter.evict()),
            // Of keys where there are none, and of the clock, which is for others to set.
            _ => {}
        }
    }

    fn number(&self, key: Key) -> u32 {
        u32::try_from(key.index(self.limits.len())).unwrap()
    }

    pub(super) fn reset_keys_that_equal_new(&self) {
        let Whole::Many(_) = self.whole else { return };
        let equals_new = |limit: &&RateLimiter<A>| limit.peek(0).full_after == Nanos::ZERO;
        self.limits.iter().filter(equals_new).for_each(RateLimiter::reset);
    }

    /// How everything stands, and who was woken.
    pub(super) fn says(&self) -> String {
        let is_woken = self.waiting.iter().map(|waiter| match waiter {
            Waiter::Uses(acquire) => acquire.is_woken(),
            Waiter::Keeps(acquire) => acquire.is_woken(),
        });
        let is_woken: Vec<_> = is_woken.collect();
        let peeks: Vec<_> = self.limits.iter().map(|limit| limit.peek(1)).collect();
        format!("{is_woken:?}, {peeks:?}")
    }

    /// What the clock shows when this limit has a permit.
    pub(super) fn turn(&self, key: Key) -> Nanos {
        let wait = self.limit(key).peek(1).retry_after();
        self.clock.now() + wait.unwrap_or_default().into()
    }

    fn used(&mut self, asked: Result<Permit<'a, A>, RateLimited>) -> String {
        let said = say(asked.as_ref().map(|permit| (permit.decision(), permit.waited())));
        self.used.extend(asked);
        said
    }

    fn look(&mut self, mut waiter: Waiter<'a, A>) -> String {
        match &mut waiter {
            Waiter::Uses(acquire) => match acquire.poll() {
                Poll::Ready(asked) => return self.used(asked),
                Poll::Pending => {}
            },
            Waiter::Keeps(acquire) => match acquire.poll() {
                Poll::Ready(Ok(reservation)) => {
                    self.kept.push(reservation);
                    return "reserved".into();
                }
                Poll::Ready(Err(refusal)) => return say(refusal),
                Poll::Pending => {}
            },
        }
        self.waiting.push(waiter);
        "waits".into()
    }
}

fn say(what: impl Debug) -> String {
    format!("{what:?}")
}

fn pick<T>(from: &mut Vec<T>, which: Index) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(which.index(from.len())))
}

fn on_terms<'a, A: Algorithm, G: Granted<'a, A>>(
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
