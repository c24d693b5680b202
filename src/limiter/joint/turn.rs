//! What calls do that have a place: look, use their permits.

use super::{
    board::Board,
    call::{Call, Standing},
    limit::Part,
    take::{Taken, Tried},
    verdict::Verdict,
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    error::Reason,
    limiter::line::Place,
    nanos::Nanos,
};
use std::{collections::BTreeSet, sync::Arc, task::Waker};

/// How long those look away who wait for calls to end of which nobody knows when.
const SECOND: Nanos = Nanos::new(1_000_000_000);

/// What a call in line finds when it looks.
pub(super) enum Turn {
    Granted,
    /// Look again then, or when woken.
    Wait(Nanos),
    /// What it asks for will not be had.
    Refused(Verdict),
    /// All who waited were sent away, or the keys found no room.
    SentAway(Reason),
}

impl Board {
    /// Serves who is due, and says how the call at `place` stands.
    pub(super) fn poll(&mut self, place: Place, now: Nanos, waker: &Waker) -> Turn {
        let is_overdue = self.is_overdue(place, now);
        let standing = self.calls.get(place).map(|call| &call.standing);
        if matches!(standing, Some(Standing::Granted(unused)) if unused.perishes <= now) {
            self.perish(place, now);
        }
        if matches!(self.calls.get(place), Some(Call { standing: Standing::Perished, .. })) {
            // Granted, but not looked at for too long: back in line, at the same place.
            if let Err(reason) = self.stand_again(place, now) {
                return Turn::SentAway(reason);
            }
        }
        self.serve(now);
        match self.calls.get(place).map(|call| &call.standing) {
            Some(Standing::Granted(_)) => Turn::Granted,
            Some(Standing::Waiting(due)) => {
                let alarm = match due {
                    Some(due) => *due,
                    None => self.alarm_behind(place, now, is_overdue),
                };
                Turn::Wait(self.set_alarm(place, alarm, waker))
            }
            Some(Standing::Refused(verdict)) => Turn::Refused(*verdict),
            Some(Standing::SentAway(reason)) => Turn::SentAway(*reason),
            Some(Standing::Perished) | None => Turn::SentAway(Reason::Cancelled),
        }
    }

    /// Gets back in line. Where nobody else waits, it comes like anybody else: time in which it did
    /// not look is not time in which it was not let go.
    fn stand_again(&mut self, place: Place, now: Nanos) -> Result<(), Reason> {
        let Some(call) = self.calls.get_mut(place) else {
            return Ok(());
        };
        let parts = std::mem::take(&mut call.parts);
        let parts = self.keep(parts, now).map_err(|_| Reason::TooManyKeys)?;
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
            Tried::Granted(taken) => self.grant(place, taken),
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
        let due_of = |first: Place| match self.calls.get(first)?.standing {
            Standing::Waiting(due) => due,
            _ => None,
        };
        let due = self.blocking(place).into_iter().filter_map(due_of).min();
        let due = due.unwrap_or(Nanos::MAX);
        let parts = self.calls.get(place).map_or(&[][..], |call| &call.parts);
        let permits = parts.iter().map(|part| {
            let permits = self.lines.permits_before(part.lane, place);
            (self.facts[part.lane.limit].interval() * permits, permits)
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
        let standing = self.calls.get(place).map(|call| &call.standing);
        matches!(standing, Some(Standing::Granted(unused)) if now < unused.perishes)
    }

    /// Uses the permits of a place now; `None` when they had grown too old, and went back.
    pub(super) fn commit(&mut self, place: Place, now: Nanos) -> Option<(Vec<Part>, Taken)> {
        if !self.is_fresh(place, now) {
            self.leave(place, now);
            return None;
        }
        let Call { parts, standing: Standing::Granted(unused), waker, .. } =
            self.calls.remove(place)?
        else {
            return None;
        };
        self.wakes.done.extend(waker);
        self.ungrant(place, &parts, unused.perishes);
        let renewed = self.renew(&parts, &unused.grants, now);
        self.release(&parts, now);
        Some((parts, renewed?))
    }

    /// The calls with these permits take place now, or go on. Where one of the limits says that its
    /// permits were lost to others, those of all are given back.
    pub(super) fn renew(&mut self, parts: &[Part], grants: &[Grant], now: Nanos) -> Option<Taken> {
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

    /// The call that uses these permits goes on. Whether it has those still that it holds; if it
    /// lost some, it gives up the others.
    pub(super) fn renew_held(&mut self, parts: &[Part], grants: &mut [Grant], now: Nanos) -> bool {
        self.serve(now);
        let facts = Arc::clone(&self.facts);
        let mut has_all = true;
        for (part, grant) in parts.iter().zip(grants.iter_mut()) {
            if !facts[part.lane.limit].holds() {
                continue;
            }
            match self.decide(part.lane, now, Ask::Renew(*grant)).outcome {
                Outcome::Granted(renewed) => *grant = renewed,
                _ => has_all = false,
            }
            self.look_behind(part.lane);
        }
        match has_all {
            true => self.serve(now),
            false => self.settle_used(parts, grants, now, Ask::End),
        }
        has_all
    }
}
