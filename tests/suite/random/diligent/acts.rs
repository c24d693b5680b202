//! What is done, to the limiter and to the model.

use super::{Kept, Waiter, World, grant_of, on_terms, pick};
use crate::random::{Deed, Kind, model::Caller, ms};
use proptest::{prelude::*, test_runner::TestCaseResult};
use tokio_test::task;
use tower_ratelimit::{Ask, Grant, Nanos, Outcome, algorithm::Permits};

impl<'a, A: Kind> World<'a, A> {
    pub(super) fn commit(&mut self, caller: Caller) -> TestCaseResult {
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

    pub(super) fn settle(
        &mut self,
        ask: impl FnOnce(Grant) -> Ask,
        grant: Grant,
    ) -> Option<Outcome> {
        let algorithm = &self.several[self.current];
        (grant.cost > 0).then(|| self.model.settle(algorithm, ask(grant)))
    }

    pub(super) fn renew(&mut self, caller: Caller) -> TestCaseResult {
        let mut held = self.held.remove(&caller).unwrap();
        let renewed = held.permit.renew();
        let expected = self.settle(Ask::Renew, held.grant).and_then(|outcome| match outcome {
            Outcome::Granted(grant) => Some(grant),
            _ => None,
        });
        prop_assert_eq!(renewed.is_ok(), expected.is_some() || held.grant.cost == 0);
        if let Some(grant) = expected {
            // A lease that ended by a clock that was set back has not ended, unless somebody took what
            // it held.
            let looked = self.taken.max(self.model.now);
            let was_lost =
                A::lease().is_some_and(|lease| looked >= held.grant.at + Nanos::new(lease));
            held.grant = grant;
            self.held.insert(caller, held);
            // One in time keeps its permits, also above a capacity that has shrunk.
            if was_lost {
                self.taken = looked;
                self.not_too_many_in_use(caller)?;
            }
        } else if held.grant.cost == 0 {
            self.held.insert(caller, held);
        }
        Ok(())
    }

    /// What was granted before counts no more for what is checked.
    pub(super) fn begin_anew(&mut self) {
        self.calls.clear();
        self.held.values_mut().for_each(|held| held.is_old = true);
        self.kept.values_mut().for_each(|kept| kept.is_old = true);
        self.may_go_back = self.kept.keys().filter(|kept| self.model.is_unused(**kept)).count();
    }

    pub(super) fn set_clock(&mut self, to: Nanos) {
        if to < self.model.now {
            self.begin_anew();
        }
        self.clock.set(to.into());
        self.model.now = to;
        self.latest = self.latest.max(to);
    }

    pub(super) fn act(&mut self, deed: Deed) -> TestCaseResult {
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
}
