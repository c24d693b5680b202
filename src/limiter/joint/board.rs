//! Everything under the one lock: all limits, and all who stand in line.

use super::{
    call::{Calls, Standing, Waits},
    forecast::Forecast,
    keys::NoRoom,
    limit::{LaneId, Limit, Part, limits_of},
    line::Lines,
    refused::Refused,
    take::{Taken, Tried},
    verdict::{Answer, Verdict},
};
use crate::{
    decision::Decision,
    error::Reason,
    limiter::{AtCapacity, Patience, Terms, desk::Wakes, line::Place, rules::Gate},
    meters::Meters,
    nanos::Nanos,
};
use std::collections::BTreeSet;

pub(super) struct Board {
    pub(super) limits: Vec<Box<dyn Limit>>,
    /// One for each limit, in order.
    pub(super) meters: Vec<Meters>,
    pub(super) lines: Lines,
    pub(super) calls: Calls,
    /// When to look again at those who are the first in all their lanes.
    pub(super) dues: BTreeSet<(Nanos, Place)>,
    /// Until when unused permits keep.
    pub(super) perishing: BTreeSet<(Nanos, Place)>,
    /// Whom to look at before the lock is let go.
    pub(super) look: Vec<Place>,
    pub(super) forecast: Forecast,
    pub(super) max_waiting: usize,
    pub(super) at_capacity: AtCapacity,
    /// How much later than need be those who wait are let go.
    pub(super) slack: Nanos,
    pub(super) gate: Gate,
    pub(super) wakes: Wakes,
}

/// The answer to a call that has just come.
pub(super) enum Asked {
    /// It has these permits.
    Granted(Vec<Part>, Taken),
    Refused(Refused),
    /// It has a place in line, and this holds it up.
    Waits(Place, Part),
}

/// The same before anybody gets in line.
enum Answered {
    Granted(Taken),
    Refused(Refused),
    Waits(Part),
}

impl Board {
    /// Answers a call that has just come.
    pub(super) fn ask(&mut self, now: Nanos, parts: Vec<Part>, terms: Terms) -> Asked {
        self.serve(now);
        if self.gate == Gate::Closed {
            return Asked::Refused(self.refuse(Reason::Closed, None, &parts));
        }
        if self.gate == Gate::Open || is_free(&parts) {
            let taken = self.pass(&parts, now);
            return Asked::Granted(parts, taken);
        }
        let parts = match self.keep(costly(parts), now) {
            Ok(parts) => parts,
            Err(no_room) => return Asked::Refused(self.refuse_without_room(no_room, now)),
        };
        match self.answer(now, &parts, terms) {
            Answered::Granted(taken) => Asked::Granted(parts, taken),
            Answered::Refused(refused) => {
                self.release(&parts, now);
                Asked::Refused(refused)
            }
            Answered::Waits(by) => Asked::Waits(self.join(parts, now), by),
        }
    }

    fn answer(&mut self, now: Nanos, parts: &[Part], terms: Terms) -> Answered {
        let full = parts.iter().find(|part| self.lines.waiting(part.lane) >= self.max_waiting);
        let behind = parts.iter().find(|part| self.lines.waiting(part.lane) > 0);
        let verdict = match behind {
            None => match self.take(parts, now, false) {
                Tried::Granted(taken) => return Answered::Granted(taken),
                Tried::Refused(verdict) if terms.patience == Patience::Now => verdict,
                Tried::Refused(verdict) => verdict.later_by(self.slack),
            },
            Some(_) => {
                let verdict = self.peek_at(parts, now);
                // Nobody who waits as long as it takes, and may, has to know how long that is.
                match verdict.is_for_good() || (terms.patience.is_endless() && full.is_none()) {
                    true => verdict,
                    false => self.turn(parts, now),
                }
            }
        };
        if verdict.is_for_good() {
            return Answered::Refused(self.refuse_for_good(&verdict, parts));
        }
        let (reason, answer) = match (verdict.refuses(terms), full) {
            (Some(answer), _) => (Reason::UsedUp, answer),
            (None, None) => {
                let binding = parts.iter().find(|part| part.lane.limit == verdict.binding.limit);
                return Answered::Waits(*behind.or(binding).unwrap_or(&parts[0]));
            }
            // The limit whose line is full is the one named, also where another one is binding.
            (None, Some(full)) => {
                let decision = Decision { rate: 0, ..verdict.binding.decision };
                let answer = Answer { limit: full.lane.limit, cost: full.cost, decision };
                (Reason::QueueFull, answer)
            }
        };
        Answered::Refused(self.refuse(reason, Some(answer), parts))
    }

    /// Refuses a call one of whose keys found no room.
    pub(super) fn refuse_without_room(&mut self, NoRoom(part): NoRoom, now: Nanos) -> Refused {
        let binding = self.peek_at(&[part], now).binding;
        self.refuse(Reason::TooManyKeys, Some(binding), &[part])
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&mut self, now: Nanos, parts: Vec<Part>) -> Answer {
        self.serve(now);
        if self.gate == Gate::Open || is_free(&parts) {
            return self.pass(&parts, now).binding;
        }
        let parts = costly(parts);
        let is_behind = parts.iter().any(|part| self.lines.waiting(part.lane) > 0);
        let verdict = self.peek_at(&parts, now);
        match is_behind && !verdict.is_for_good() {
            true => self.turn(&parts, now).binding,
            false => verdict.binding,
        }
    }

    /// Gets in line, in all lanes at once.
    fn join(&mut self, parts: Vec<Part>, now: Nanos) -> Place {
        let Self { forecast, limits, lines, .. } = self;
        forecast.join(limits, lines, &parts, now);
        let place = self.calls.add(parts, now);
        self.stand(place);
        self.serve(now);
        place
    }

    /// Stands in the lines of all its lanes.
    pub(super) fn stand(&mut self, place: Place) {
        if let Some(call) = self.calls.get_mut(place) {
            let in_line = |limit: usize| self.meters[limit].line().joined();
            let in_lines = limits_of(&call.parts).map(in_line).collect();
            call.standing = Standing::Waiting(Waits::new(in_lines));
            call.alarm = Nanos::MAX;
            for part in &call.parts {
                self.lines.wait(*part, place);
            }
            self.look.push(place);
        }
    }

    /// When a call would be served that gets in line now.
    pub(super) fn turn(&mut self, parts: &[Part], now: Nanos) -> Verdict {
        let Self { forecast, limits, lines, calls, .. } = self;
        forecast.cover(limits, lines, calls, parts, Place::LAST, now);
        forecast.turn(limits, parts, now)
    }

    /// When a call in line will be served.
    pub(super) fn turn_of(&mut self, place: Place, now: Nanos) -> Option<Verdict> {
        let Self { forecast, limits, lines, calls, .. } = self;
        let parts = &calls.get(place)?.parts;
        forecast.forget(limits);
        forecast.cover(limits, lines, calls, parts, place, now);
        let verdict = forecast.turn(limits, parts, now);
        forecast.forget(limits);
        Some(verdict)
    }

    /// The state or the line of a lane is not what it was.
    pub(super) fn changed(&mut self, lane: LaneId) {
        if self.forecast.covers(lane) {
            self.forecast.forget(&mut self.limits);
        }
    }
}

/// Whether a call asks for nothing.
fn is_free(parts: &[Part]) -> bool {
    parts.iter().all(|part| part.cost == 0)
}

/// What costs nothing needs no place.
pub(super) fn costly(mut parts: Vec<Part>) -> Vec<Part> {
    parts.retain(|part| part.cost > 0);
    parts
}
