//! What holds after each deed, and in the end.

use super::{Held, World};
use crate::random::{Kind, model::Caller, ms};
use proptest::{prelude::*, test_runner::TestCaseResult};
use std::time::Duration;
use tower_ratelimit::{Ask, Nanos, algorithm::Permits};

impl<'a, A: Kind> World<'a, A> {
    pub(super) fn algorithm(&self) -> &A {
        &self.several[self.current]
    }

    /// As the holders themselves know it.
    pub(super) fn not_too_many_in_use(&self, caller: Caller) -> TestCaseResult {
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

    /// All look, and everything holds.
    pub(super) fn check(&mut self) -> TestCaseResult {
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

    pub(super) fn within_the_bound(&self) -> TestCaseResult {
        if !self.checks_bound {
            return Ok(());
        }
        let mut calls: Vec<u64> = self.calls.values().map(|at| at.get()).collect();
        calls.sort_unstable();
        for (first, from) in calls.iter().enumerate() {
            for (last, to) in calls.iter().enumerate().skip(first) {
                let length = Duration::from_nanos(to - from + 1);
                let most = usize::try_from(self.algorithm().most_in(length)).unwrap_or(usize::MAX);
                prop_assert!(
                    last - first < most.saturating_add(self.may_go_back),
                    "{length:?} of {calls:?}"
                );
            }
        }
        Ok(())
    }

    /// With time going on and all calls ending, everybody is served.
    pub(super) fn finish(mut self) -> TestCaseResult {
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
