//! Changing a limiter while it is in use.

use super::{
    desk::{Desk, Wakes},
    lane::Lane,
    lanes::Lanes,
    rules::{Gate, Rules},
    shared::Shared,
};
use crate::{
    algorithm::Algorithm, decision::Ask, error::Reason, events, nanos::Nanos,
    store::table::Fingerprint,
};
use std::{
    cell::RefCell,
    sync::{Arc, PoisonError},
};

impl<A: Algorithm> Shared<A> {
    /// Sends away all who wait.
    pub(super) fn cancel(&self) {
        self.log("cancel");
        self.at_lines(|_| {}, |desk| desk.send_away(Reason::Cancelled));
    }

    /// The same for one key.
    pub(super) fn cancel_key(&self, key: Fingerprint) {
        match self.lanes {
            Lanes::One(_) => self.cancel(),
            Lanes::Many(..) => {
                self.log("cancel_key");
                self.at(key, |desk| desk.send_away(Reason::Cancelled));
            }
        }
    }

    /// Lets everybody pass from now on, those who wait first.
    pub(super) fn breach(&self) {
        self.log("breach");
        self.at_lines(|rules| rules.gate.open(), |desk| desk.let_pass());
    }

    /// Limits again, unless it is closed.
    pub(super) fn end_breach(&self) {
        self.log("end_breach");
        // Nobody is in line: those who come pass.
        self.at_lines(|rules| rules.gate.end_breach(), |_| {});
    }

    /// Lets nobody pass from now on.
    pub(super) fn close(&self) {
        self.log("close");
        self.at_lines(|rules| rules.gate = Gate::Closed, |desk| desk.send_away(Reason::Closed));
    }

    /// Begins anew, unless it is closed.
    pub(super) fn reset(&self) {
        self.log("reset");
        let begin = |rules: &mut Rules<A>| {
            rules.resets = rules.resets.wrapping_add(1);
            rules.gate.end_breach();
        };
        self.everywhere(begin, |rules, lane| match lane.has_line() {
            true => self.serve(rules, lane, |desk| desk.reset()),
            false => {
                *lane = Lane::default();
                Wakes::default()
            }
        });
    }

    /// The same for one key; the gate is that of all keys.
    pub(super) fn reset_key(&self, key: Fingerprint) {
        match self.lanes {
            Lanes::One(_) => self.reset(),
            Lanes::Many(..) => {
                self.log("reset_key");
                self.at(key, |desk| desk.reset());
                self.lanes.forget(key, self.now());
            }
        }
    }

    /// Goes on by another arithmetic.
    pub(super) fn set_algorithm(&self, algorithm: A) {
        self.log("set_algorithm");
        let algorithm = Arc::new(algorithm);
        // Those of the lanes under the same lock.
        let before = RefCell::new(self.lanes.rules());
        let change = |rules: &mut Rules<A>| {
            before.replace(rules.clone());
            rules.algorithm = Arc::clone(&algorithm);
        };
        self.everywhere(change, |rules, lane| {
            let before = before.borrow();
            if lane.own().is_some() {
                return Wakes::default();
            }
            if !lane.has_line() {
                let (before, now) = (&before.algorithm, self.now());
                lane.amend(rules, now, |algorithm, state, now| match self.lanes {
                    Lanes::One(_) => algorithm.carry_over(before, state, now),
                    Lanes::Many(..) => algorithm.carry_over_unattended(before, state, now),
                });
                let equals_new = lane.at_rest().is_some_and(|state| state <= now);
                if equals_new && matches!(self.lanes, Lanes::Many(..)) {
                    // Or who found it before the change could add a call by the bucket from before, to
                    // which the next one adds its own by the other.
                    *lane = Lane::default();
                }
                return Wakes::default();
            }
            self.serve(rules, lane, |desk| desk.carry_over(&before.algorithm))
        });
    }

    /// Goes on by another arithmetic for one key, whatever that of the others is.
    pub(super) fn set_algorithm_of(&self, key: Fingerprint, algorithm: A) -> Result<(), Reason> {
        self.log("set_algorithm_for");
        let algorithm = Arc::new(algorithm);
        let wakes = self.lanes.with_own(key, self.now(), |rules, lane| {
            // By what held until now; it makes the line that keeps the arithmetic.
            let served = self.serve(rules, lane, |_| {});
            let before = lane.set_own(algorithm).unwrap_or_else(|| Arc::clone(&rules.algorithm));
            served.and(self.serve(rules, lane, |desk| desk.carry_over(&before)))
        });
        wakes.map(Wakes::wake)
    }

    /// Forgets one key: whoever waits is sent away, and it has no arithmetic of its own any more.
    pub(super) fn forget_key(&self, key: Fingerprint) {
        self.log("reset_key");
        let begun_anew = self.lanes.existing(key, |rules, lane| {
            let sent_away = self.serve(rules, lane, |desk| desk.reset());
            // Under the same lock, or a call in between would be charged by an arithmetic that nobody
            // goes by afterwards.
            lane.give_up_own();
            sent_away
        });
        if let Some(sent_away) = begun_anew {
            sent_away.wake();
        }
        self.lanes.forget(key, self.now());
    }

    /// Takes permits of a key whether they are there or not.
    pub(super) fn charge(&self, mut key: Fingerprint, cost: u32) -> Result<(), Reason> {
        let settled = self.lanes.with(&mut key, self.now(), |rules, lane| {
            self.serve(rules, lane, |desk| {
                let _ = desk.settle(Ask::Charge(cost));
            })
        });
        settled.map(Wakes::wake)
    }

    /// Changes the state of a key as something says that happened elsewhere; for those who wait, too.
    pub(super) fn amend(
        &self,
        mut key: Fingerprint,
        change: impl FnOnce(&A, &mut A::State, Nanos),
    ) -> Result<(), Reason> {
        let amend = |rules: &Rules<A>, lane: &mut Lane<A>| self.amend_lane(rules, lane, change);
        self.lanes.with(&mut key, self.now(), amend).map(Wakes::wake)
    }

    /// The same unless the state equals new, as that of a key that is not kept does.
    pub(super) fn amend_kept(
        &self,
        key: Fingerprint,
        change: impl FnOnce(&A, &mut A::State, Nanos),
    ) {
        let amend = |rules: &Rules<A>, lane: &mut Lane<A>| self.amend_lane(rules, lane, change);
        if let Some(wakes) = self.lanes.existing(key, amend) {
            wakes.wake();
        }
    }

    fn amend_lane(
        &self,
        rules: &Rules<A>,
        lane: &mut Lane<A>,
        change: impl FnOnce(&A, &mut A::State, Nanos),
    ) -> Wakes {
        match lane.has_line() {
            true => self.serve(rules, lane, |desk| desk.amend(change)),
            false => {
                lane.amend(rules, self.now(), change);
                Wakes::default()
            }
        }
    }

    /// Lets the operator know. What is done to one key does not say to which.
    fn log(&self, action: &'static str) {
        events::control(self.settings.name.as_deref(), action);
    }

    /// Changes the rules, and works wherever there is a line.
    fn at_lines(&self, change: impl FnMut(&mut Rules<A>), work: impl Fn(&mut Desk<'_, A>)) {
        let at_line = |rules: &Rules<A>, lane: &mut Lane<A>| match lane.has_line() {
            true => self.serve(rules, lane, &work),
            false => Wakes::default(),
        };
        self.alone(|wakes| {
            self.lanes.all_in_use(change, |rules, lane| wakes.add(at_line(rules, lane)));
        });
    }

    /// Changes the rules, and works on all lanes.
    fn everywhere(
        &self,
        change: impl FnMut(&mut Rules<A>),
        work: impl Fn(&Rules<A>, &mut Lane<A>) -> Wakes,
    ) {
        self.alone(|wakes| {
            self.lanes.all(change, |rules, lane| wakes.add(work(rules, lane)));
        });
    }

    /// Makes one change after the other, or keys would be left with the rules of different ones. Wakes
    /// whom it lets go once no lock is held.
    fn alone(&self, change: impl FnOnce(&mut Wakes)) {
        let mut wakes = Wakes::default();
        // A panic in somebody's algorithm is no reason to panic in everybody else's calls.
        let alone = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.short_way.shut();
        change(&mut wakes);
        self.short_way.open(&self.lanes.rules());
        drop(alone);
        wakes.wake();
    }

    fn serve(
        &self,
        rules: &Rules<A>,
        lane: &mut Lane<A>,
        work: impl FnOnce(&mut Desk<'_, A>),
    ) -> Wakes {
        let mut desk = self.desk(rules, lane, self.now());
        work(&mut desk);
        desk.wakes
    }
}
