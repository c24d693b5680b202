//! Changing the limits while they are in use.

use super::{
    board::{Board, costly},
    call::{Call, Standing},
    keys::NoRoom,
    limit::{LaneId, Part},
};
use crate::{
    decision::{Ask, Take},
    error::Reason,
    limiter::rules::Gate,
    nanos::Nanos,
};
use std::{any::Any, mem, sync::Arc};

impl Board {
    /// Sends away all who wait.
    pub(super) fn cancel(&mut self, now: Nanos) {
        self.send_away(Reason::Cancelled, now, Call::is_waiting);
        self.serve(now);
    }

    /// The same for those who wait in one of these lanes.
    pub(super) fn cancel_lanes(&mut self, parts: &[Part], now: Nanos) {
        let whom = |call: &Call| call.is_waiting() && call.is_in(parts);
        self.send_away(Reason::Cancelled, now, whom);
        self.serve(now);
    }

    /// Lets nobody pass from now on.
    pub(super) fn close(&mut self, now: Nanos) {
        self.gate = Gate::Closed;
        self.send_away(Reason::Closed, now, Call::is_waiting);
        self.serve(now);
    }

    /// Lets everybody pass from now on, those who wait first and in order, unless it is closed.
    pub(super) fn breach(&mut self, now: Nanos) {
        self.gate.open();
        for place in self.calls.places() {
            let waits = |call: &&mut Call| matches!(call.standing, Standing::Waiting(_));
            let Some(call) = self.calls.get_mut(place).filter(waits) else {
                continue;
            };
            let standing = mem::replace(&mut call.standing, Standing::Passed);
            self.wakes.due.extend(call.waker.take());
            let parts = call.parts.clone();
            self.vacate(place, &parts, standing, now);
        }
        self.serve(now);
    }

    /// Limits again, unless it is closed.
    pub(super) fn end_breach(&mut self, now: Nanos) {
        self.gate.end_breach();
        self.serve(now);
    }

    /// Begins anew, unless it is closed: whoever waits is sent away, and permits not used yet are
    /// worth nothing.
    pub(super) fn reset(&mut self, now: Nanos) {
        self.gate.end_breach();
        self.send_away(Reason::Cancelled, now, Call::is_undecided);
        self.forecast.forget(&mut self.limits);
        self.limits.iter_mut().for_each(|limit| limit.reset());
        self.serve(now);
    }

    /// The same for these lanes; the gate is that of all.
    pub(super) fn reset_lanes(&mut self, parts: &[Part], now: Nanos) {
        let whom = |call: &Call| call.is_undecided() && call.is_in(parts);
        self.send_away(Reason::Cancelled, now, whom);
        for Part { lane, .. } in parts {
            self.limits[lane.limit].forget(lane.key);
        }
        self.serve(now);
    }

    /// Goes on by another algorithm for one of the limits.
    ///
    /// # Errors
    ///
    /// The name of the type that it would have to be of.
    pub(super) fn set_algorithm(
        &mut self,
        limit: usize,
        algorithm: Arc<dyn Any + Send + Sync>,
        now: Nanos,
    ) -> Result<(), &'static str> {
        // Whoever is overdue is let go by how the limit was until now.
        self.serve(now);
        self.limits[limit].set_algorithm(algorithm, now)?;
        self.forecast.forget(&mut self.limits);
        self.look.extend(self.calls.places().into_iter().rev());
        self.serve(now);
        Ok(())
    }

    /// Takes permits of these lanes whether they are there or not.
    ///
    /// # Errors
    ///
    /// When there is no room for one of the keys. Nothing is taken then.
    pub(super) fn charge(&mut self, parts: Vec<Part>, now: Nanos) -> Result<(), NoRoom> {
        // Whoever is overdue is let go by how the limits stood until now.
        self.serve(now);
        let parts = self.keep(costly(parts), now)?;
        for Part { lane, cost, .. } in &parts {
            let _ = self.decide(*lane, now, Ask::Charge(*cost));
            self.look_behind(*lane);
        }
        self.release(&parts, now);
        self.serve(now);
        Ok(())
    }

    /// Uses permits of these lanes up, as far as they are there, for a call that takes place elsewhere.
    pub(super) fn use_up(&mut self, parts: Vec<Part>, now: Nanos) {
        let Ok(parts) = self.keep(costly(parts), now) else { return };
        for Part { lane, cost, .. } in &parts {
            // They are for those who wait.
            if self.lines.waiting(*lane) > 0 {
                continue;
            }
            let all = self.decide(*lane, now, Ask::Take(Take::fresh(*cost)));
            let rest = Ask::Take(Take::fresh(all.remaining));
            if let Some(grant) = all.grant().or_else(|| self.decide(*lane, now, rest).grant()) {
                let _ = self.decide(*lane, now, Ask::End(grant));
            }
        }
        self.release(&parts, now);
    }

    /// Sends calls away that have a place, from whatever they hold.
    fn send_away(&mut self, reason: Reason, now: Nanos, whom: impl Fn(&Call) -> bool) {
        for place in self.calls.places() {
            let Some(call) = self.calls.get_mut(place).filter(|call| whom(call)) else {
                continue;
            };
            let standing = mem::replace(&mut call.standing, Standing::SentAway(reason));
            self.wakes.due.extend(call.waker.take());
            let parts = call.parts.clone();
            self.vacate(place, &parts, standing, now);
        }
    }
}

impl Call {
    /// Whether it waits, also where it does not know that its permits perished.
    fn is_waiting(&self) -> bool {
        matches!(self.standing, Standing::Waiting(_) | Standing::Perished)
    }

    /// Whether it may take place yet.
    fn is_undecided(&self) -> bool {
        !matches!(self.standing, Standing::Refused(_) | Standing::SentAway(_))
    }

    /// Whether it asks for one of these lanes.
    fn is_in(&self, parts: &[Part]) -> bool {
        let is_among = |lane: LaneId| parts.iter().any(|part| part.lane == lane);
        self.parts.iter().any(|part| is_among(part.lane))
    }
}
