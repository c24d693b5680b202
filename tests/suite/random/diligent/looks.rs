//! What callers find, and what the model says that they find.

use super::{Held, Kept, Waiter, World, grant_of};
use crate::random::{
    Kind, Waits,
    model::{Caller, Fate},
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::task::Poll;
use tower_ratelimit::{Grant, Nanos, Permit, RateLimited, Reservation};

impl<'a, A: Kind> World<'a, A> {
    /// Lets a call look, and compares what it finds.
    pub(super) fn look(
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

    pub(super) fn is_refused(
        caller: Caller,
        refused: &RateLimited,
        expected: Fate,
    ) -> TestCaseResult {
        let fate = Fate::Refused(refused.reason(), refused.retry_after().map(Nanos::from));
        prop_assert_eq!(fate, expected, "{}", caller);
        Ok(())
    }

    /// Nobody who asked earlier is let go later.
    pub(super) fn in_order(&mut self, caller: Caller, grant: Grant) -> TestCaseResult {
        if grant.cost > 0 {
            prop_assert!(self.last_granted < Some(caller), "{} overtook", caller);
            self.last_granted = Some(caller);
            self.taken = self.taken.max(self.model.now);
        }
        Ok(())
    }

    pub(super) fn used(
        &mut self,
        caller: Caller,
        permit: Permit<'a, A>,
        expected: Fate,
    ) -> TestCaseResult {
        let grant = grant_of(permit.decision());
        match (grant.cost, expected) {
            // When nothing was taken means nothing.
            (0, Fate::Granted(Grant { cost: 0, .. })) => {}
            _ => prop_assert_eq!(Fate::Granted(grant), expected, "{}", caller),
        }
        self.in_order(caller, grant)?;
        self.hold(caller, permit, grant, false)
    }

    pub(super) fn hold(
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

    pub(super) fn keep(
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

    pub(super) fn ask(&mut self, waiter: Waiter<'a, A>, cost: u32, waits: Waits) -> TestCaseResult {
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

    pub(super) fn try_now(&mut self, cost: u32) -> TestCaseResult {
        let caller = self.callers;
        self.callers += 1;
        let algorithm = &self.several[self.current];
        let expected = self.model.ask(algorithm, caller, cost, Waits::Not, true);
        match self.limiter.try_acquire_many(cost) {
            Ok(permit) => self.used(caller, permit, expected),
            Err(refused) => Self::is_refused(caller, &refused, expected),
        }
    }
}
