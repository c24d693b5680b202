//! Everything under the one lock: all limits, and all who stand in line.

use super::{
    call::{Calls, Standing},
    forecast::Forecast,
    keys::NoRoom,
    limit::{Facts, LaneId, Limit, Part},
    line::Lines,
    take::{Taken, Tried},
    verdict::{Answer, Verdict},
};
use crate::{
    decision::{Decision, Outcome},
    error::Reason,
    limiter::{AtCapacity, Terms, desk::Wakes, line::Place},
    nanos::Nanos,
};
use std::{collections::BTreeSet, sync::Arc};

pub(super) struct Board {
    pub(super) facts: Arc<[Arc<dyn Facts>]>,
    pub(super) limits: Vec<Box<dyn Limit>>,
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
    pub(super) closed: bool,
    pub(super) wakes: Wakes,
}

/// The answer to a call that has just come.
pub(super) enum Asked {
    /// It has these permits.
    Granted(Vec<Part>, Taken),
    Refused(Reason, Option<Answer>),
    Waits(Place),
}

/// The same before anybody gets in line.
enum Answered {
    Granted(Taken),
    Refused(Reason, Answer),
    Waits,
}

impl Board {
    /// Answers a call that has just come.
    pub(super) fn ask(&mut self, now: Nanos, parts: Vec<Part>, terms: Terms) -> Asked {
        self.serve(now);
        if self.closed {
            return Asked::Refused(Reason::Closed, None);
        }
        if parts.iter().all(|part| part.cost == 0) {
            let verdict = self.peek_at(&parts, now);
            let taken = Taken { grants: Vec::new(), binding: verdict.binding };
            return Asked::Granted(Vec::new(), taken);
        }
        let parts = match self.keep(costly(parts), now) {
            Ok(parts) => parts,
            Err(NoRoom(part)) => {
                let binding = self.peek_at(&[part], now).binding;
                return Asked::Refused(Reason::TooManyKeys, Some(binding));
            }
        };
        let answer = self.answer(now, &parts, terms);
        match answer {
            Answered::Granted(taken) => Asked::Granted(parts, taken),
            Answered::Refused(reason, binding) => {
                self.release(&parts, now);
                Asked::Refused(reason, Some(binding))
            }
            Answered::Waits => Asked::Waits(self.join(parts, now)),
        }
    }

    fn answer(&mut self, now: Nanos, parts: &[Part], terms: Terms) -> Answered {
        let full = parts.iter().find(|part| self.lines.waiting(part.lane) >= self.max_waiting);
        let verdict = match self.is_behind(parts) {
            false => match self.take(parts, now, false) {
                Tried::Granted(taken) => return Answered::Granted(taken),
                Tried::Refused(verdict) => verdict,
            },
            true => {
                let verdict = self.peek_at(parts, now);
                // Nobody who waits as long as it takes, and may, has to know how long that is.
                match verdict.is_for_good() || (terms.patience.is_endless() && full.is_none()) {
                    true => verdict,
                    false => self.turn(parts, now),
                }
            }
        };
        if verdict.is_for_good() {
            return Answered::Refused(reason(&verdict), verdict.binding);
        }
        match (verdict.refuses(terms), full) {
            (Some(answer), _) => Answered::Refused(Reason::UsedUp, answer),
            (None, None) => Answered::Waits,
            // The limit whose line is full is the one named, also where another one is binding.
            (None, Some(full)) => {
                let decision = Decision { rate: 0, ..verdict.binding.decision };
                let answer = Answer { limit: full.lane.limit, cost: full.cost, decision };
                Answered::Refused(Reason::QueueFull, answer)
            }
        }
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&mut self, now: Nanos, parts: Vec<Part>) -> Verdict {
        self.serve(now);
        if parts.iter().all(|part| part.cost == 0) {
            return self.peek_at(&parts, now);
        }
        let parts = costly(parts);
        let verdict = self.peek_at(&parts, now);
        match self.is_behind(&parts) && !verdict.is_for_good() {
            true => self.turn(&parts, now),
            false => verdict,
        }
    }

    /// Whether others stand before a call that comes now.
    fn is_behind(&self, parts: &[Part]) -> bool {
        !self.lines.is_empty() && parts.iter().any(|part| self.lines.waiting(part.lane) > 0)
    }

    /// Gets in line, in all lanes at once.
    fn join(&mut self, parts: Vec<Part>, now: Nanos) -> Place {
        let Self { forecast, limits, lines, .. } = self;
        forecast.join(limits, lines, &parts, now);
        let place = self.calls.add(parts, Standing::Waiting(None));
        self.stand(place);
        self.serve(now);
        place
    }

    /// Stands in the lines of all its lanes.
    pub(super) fn stand(&mut self, place: Place) {
        if let Some(call) = self.calls.get_mut(place) {
            call.standing = Standing::Waiting(None);
            call.alarm = Nanos::MAX;
            for part in &call.parts {
                self.lines.wait(*part, place);
            }
            self.look.push(place);
        }
    }

    /// When a call would be served that gets in line now.
    fn turn(&mut self, parts: &[Part], now: Nanos) -> Verdict {
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

/// What costs nothing needs no place.
fn costly(mut parts: Vec<Part>) -> Vec<Part> {
    parts.retain(|part| part.cost > 0);
    parts
}

/// Why a call is refused that would wait in vain.
pub(super) fn reason(verdict: &Verdict) -> Reason {
    match verdict.outcome() {
        Outcome::Exhausted => Reason::Exhausted,
        Outcome::Never => Reason::TooCostly,
        _ => Reason::UsedUp,
    }
}
