//! What calls do that have a place: look, use their permits.

use super::{
    board::Board,
    call::{Call, Standing},
    limit::{Part, limits_of},
    refused::Refused,
    take::{Taken, Tried},
    used::Used,
    verdict::{Answer, Verdict},
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    error::Reason,
    limiter::{Patience, Terms, line::Place, rules::Gate},
    nanos::Nanos,
};
use std::{collections::BTreeSet, mem, task::Waker};

/// How long those look away who wait for calls to end of which nobody knows when.
const SECOND: Nanos = Nanos::new(1_000_000_000);

/// What a call in line finds when it looks.
pub(super) enum Turn<T> {
    Granted(T),
    /// Look again then, or when woken.
    Wait(Nanos),
    /// It was sent away, or what it asks for will not be had.
    Refused(Refused),
}

impl Board {
    /// Serves who is due, and says how the call at `place` stands, and how long it waited.
    pub(super) fn poll(&mut self, place: Place, now: Nanos, waker: &Waker) -> Turn<Nanos> {
        let is_overdue = self.is_overdue(place, now);
        let standing = self.calls.get(place).map(|call| &call.standing);
        if matches!(standing, Some(Standing::Granted(unused)) if unused.perishes <= now) {
            self.perish(place, now);
        }
        if matches!(self.calls.get(place), Some(Call { standing: Standing::Perished, .. })) {
            // Granted, but not looked at for too long: back in line, at the same place.
            if let Err(refused) = self.stand_again(place, now) {
                return Turn::Refused(refused);
            }
        }
        if let Some(Call { standing: Standing::Waiting(waits), .. }) = self.calls.get(place)
            && waits.due.is_none()
        {
            // It may be the first and not be looked at again by itself: somebody's algorithm panicked
            // when it was.
            self.look.push(place);
        }
        self.serve(now);
        let Some(Call { parts, standing, since, .. }) = self.calls.get(place) else {
            return Turn::Refused(self.refuse_at(place, Reason::Cancelled, None));
        };
        match standing {
            Standing::Granted(_) | Standing::Passed => {
                let waited = now - *since;
                limits_of(parts).for_each(|limit| self.meters[limit].waited(waited));
                Turn::Granted(waited)
            }
            Standing::Waiting(waits) => {
                let due = waits.due;
                let alarm = due.unwrap_or_else(|| self.alarm_behind(place, now, is_overdue));
                Turn::Wait(self.set_alarm(place, alarm, waker))
            }
            Standing::Refused(verdict) => Turn::Refused(self.refuse_for_good(verdict, parts)),
            Standing::SentAway(reason) => Turn::Refused(self.refuse(*reason, None, parts)),
            Standing::Perished => Turn::Refused(self.refuse(Reason::Cancelled, None, parts)),
        }
    }

    /// Until when a call waits that got in line now.
    pub(super) fn deadline(&self, place: Place, terms: Terms) -> Nanos {
        let Some(Call { parts, since, .. }) = self.calls.get(place) else {
            return Nanos::MAX;
        };
        match terms.patience {
            Patience::Timeout(timeout) => *since + timeout.into(),
            // How long the wait will be is not known where calls hold their permits.
            Patience::MaxWait(max_wait) if self.holds(parts) => *since + max_wait.into(),
            Patience::Now | Patience::MaxWait(_) | Patience::Forever => Nanos::MAX,
        }
    }

    /// Refuses a call that has waited as long as it would.
    pub(super) fn time_out(&mut self, place: Place, now: Nanos) -> Refused {
        let answer = self.turn_of(place, now).map(|verdict| verdict.binding);
        self.refuse_at(place, Reason::UsedUp, answer)
    }

    /// Refuses a call that has a place.
    pub(super) fn refuse_at(
        &self,
        place: Place,
        reason: Reason,
        answer: Option<Answer>,
    ) -> Refused {
        let parts = self.calls.get(place).map_or(&[][..], |call| &call.parts);
        self.refuse(reason, answer, parts)
    }

    /// Gets back in line. Where nobody else waits, it comes like anybody else: time in which it did
    /// not look is not time in which it was not let go.
    fn stand_again(&mut self, place: Place, now: Nanos) -> Result<(), Refused> {
        let Some(call) = self.calls.get_mut(place) else {
            return Ok(());
        };
        match self.gate {
            Gate::Working => {}
            Gate::Open => {
                call.standing = Standing::Passed;
                return Ok(());
            }
            Gate::Closed => return Err(self.refuse_at(place, Reason::Closed, None)),
        }
        let parts = mem::take(&mut call.parts);
        let parts =
            self.keep(parts, now).map_err(|no_room| self.refuse_without_room(no_room, now))?;
        let is_alone = parts.iter().all(|part| self.lines.waiting(part.lane) == 0);
        let taken = match is_alone {
            true => self.take(&parts, now, false),
            false => Tried::Refused(Verdict::new([])),
        };
        for part in &parts {
            self.changed(part.lane);
        }
        if let Some(call) = self.calls.get_mut(place) {
            call.parts = parts;
        }
        match taken {
            Tried::Granted(taken) => self.grant(place, taken, now),
            Tried::Refused(_) => self.stand(place),
        }
        Ok(())
    }

    /// Those who keep a call from being the first in all its lanes: of each lane the first, and
    /// whoever keeps that one.
    fn blocking(&self, place: Place) -> BTreeSet<Place> {
        let mut blocking = BTreeSet::new();
        let mut places = vec![place];
        while let Some(behind) = places.pop() {
            let parts = self.calls.get(behind).map_or(&[][..], |call| &call.parts);
            let firsts = parts.iter().filter_map(|part| self.lines.first(part.lane));
            for first in firsts.filter(|first| *first < behind) {
                if blocking.insert(first) {
                    places.push(first);
                }
            }
        }
        blocking
    }

    /// Whether somebody has not looked in time whom a call waits for.
    fn is_overdue(&self, place: Place, now: Nanos) -> bool {
        let is_late = |first: &Place| self.calls.get(*first).is_some_and(|call| call.alarm <= now);
        !self.dues.is_empty() && self.blocking(place).iter().any(is_late)
    }

    /// When a call should look again that is not the first in all its lanes.
    ///
    /// The first ones have to be on time. The others look after those before them that nobody
    /// polls, each about when its own turn comes; whoever found one overdue stands in for it.
    fn alarm_behind(&self, place: Place, now: Nanos, stands_in: bool) -> Nanos {
        let due_of = |first: Place| match &self.calls.get(first)?.standing {
            Standing::Waiting(waits) => waits.due,
            _ => None,
        };
        let due = self.blocking(place).into_iter().filter_map(due_of).min();
        let due = due.unwrap_or(Nanos::MAX);
        let parts = self.calls.get(place).map_or(&[][..], |call| &call.parts);
        let permits = parts.iter().map(|part| {
            let permits = self.lines.permits_before(part.lane, place);
            (self.limits[part.lane.limit].interval() * permits, permits)
        });
        let (span, permits) = permits.max().unwrap_or_default();
        match due {
            // Whoever ends a call serves those in line; this is for permits that nobody uses.
            Nanos::MAX => now + SECOND + SECOND * permits,
            due if stands_in => due,
            due => due + span,
        }
    }

    fn set_alarm(&mut self, place: Place, alarm: Nanos, waker: &Waker) -> Nanos {
        if let Some(call) = self.calls.get_mut(place) {
            call.alarm = alarm;
            if !call.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                self.wakes.done.extend(call.waker.replace(waker.clone()));
            }
        }
        alarm
    }

    /// Whether a place has permits that are good still.
    pub(super) fn is_fresh(&self, place: Place, now: Nanos) -> bool {
        match self.calls.get(place).map(|call| &call.standing) {
            Some(Standing::Granted(unused)) => now < unused.perishes,
            Some(Standing::Passed) => true,
            _ => false,
        }
    }

    /// Uses the permits of a place now; `None` when they had grown too old, and went back.
    pub(super) fn commit(&mut self, place: Place, now: Nanos, waited: Nanos) -> Option<Used> {
        if !self.is_fresh(place, now) {
            self.leave(place, now);
            return None;
        }
        let Call { parts, standing, waker, .. } = self.calls.remove(place)?;
        self.wakes.done.extend(waker);
        let taken = match standing {
            Standing::Granted(unused) => {
                self.ungrant(place, &parts, unused.perishes);
                let renewed = self.renew(&parts, &unused.grants, now);
                self.release(&parts, now);
                renewed?
            }
            _ => self.pass(&parts, now),
        };
        Some(self.admit(parts, taken, waited))
    }

    /// The calls with these permits take place now. Where one of the limits says that its
    /// permits were lost to others, those of all are given back.
    fn renew(&mut self, parts: &[Part], grants: &[Grant], now: Nanos) -> Option<Taken> {
        let mut renewed = Vec::with_capacity(parts.len());
        let mut decisions: Vec<(Part, Decision)> = Vec::with_capacity(parts.len());
        for (part, grant) in parts.iter().zip(grants) {
            let decision = self.decide(part.lane, now, Ask::Renew(*grant));
            self.changed(part.lane);
            renewed.extend(decision.grant());
            decisions.push((*part, decision));
        }
        let lost = decisions.iter().any(|(_, decision)| !decision.is_granted());
        if lost {
            for (part, decision) in decisions {
                if let Outcome::Granted(grant) = decision.outcome {
                    let _ = self.decide(part.lane, now, Ask::GiveBack(grant));
                }
                self.look_behind(part.lane);
            }
            self.serve(now);
            return None;
        }
        let binding = Verdict::new(decisions).binding;
        Some(Taken { grants: renewed, binding })
    }
}
