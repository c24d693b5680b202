//! Everything under the one lock: all limits, and all who stand in line.

use super::{
    call::{Call, Calls, Standing, Unused},
    forecast::Forecast,
    limit::{Facts, LaneId, Limit, Part},
    line::Lines,
    verdict::{Answer, Verdict},
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome, Take},
    error::Reason,
    limiter::{AtCapacity, Terms, desk::Wakes, line::Place},
    nanos::Nanos,
    store::memory::Fingerprint,
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

/// Permits just taken.
pub(super) struct Taken {
    /// One for each part, in order.
    pub(super) grants: Vec<Grant>,
    pub(super) binding: Answer,
}

/// How an ask for permits of all limits came out.
pub(super) enum Tried {
    Granted(Taken),
    /// Nothing was taken.
    Refused(Verdict),
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
            Err(refused) => return refused,
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

    /// Keeps the lanes of these parts, those without room as the ones that such lanes share.
    pub(super) fn keep(&mut self, mut parts: Vec<Part>, now: Nanos) -> Result<Vec<Part>, Asked> {
        for index in 0..parts.len() {
            let LaneId { limit, key } = parts[index].lane;
            if self.limits[limit].keep(key, now) {
                continue;
            }
            if self.at_capacity == AtCapacity::Refuse {
                let cost = parts[index].cost;
                let refusing = Verdict::new(self.decide_each(&parts[index..=index], now, false));
                self.release(&parts[..index], now);
                let binding = Answer { limit, cost, ..refusing.binding };
                return Err(Asked::Refused(Reason::TooManyKeys, Some(binding)));
            }
            parts[index].lane.key = Fingerprint::OVERFLOW;
            self.limits[limit].keep(Fingerprint::OVERFLOW, now);
        }
        Ok(self.merge(parts, now))
    }

    /// Makes one part of those that came to share a lane.
    fn merge(&mut self, parts: Vec<Part>, now: Nanos) -> Vec<Part> {
        let mut merged: Vec<Part> = Vec::with_capacity(parts.len());
        for part in parts {
            match merged.iter_mut().find(|other| other.lane == part.lane) {
                Some(other) => {
                    other.cost = other.cost.saturating_add(part.cost);
                    self.limits[part.lane.limit].release(part.lane.key, now);
                }
                None => merged.push(part),
            }
        }
        merged
    }

    pub(super) fn release(&mut self, parts: &[Part], now: Nanos) {
        for part in parts {
            self.limits[part.lane.limit].release(part.lane.key, now);
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

    /// Takes all these permits, or none and says why. One that has to wait may be remembered to
    /// have come, which is all that a refusal changes.
    pub(super) fn take(&mut self, parts: &[Part], now: Nanos, queued: bool) -> Tried {
        let peeked = self.decide_each(parts, now, queued);
        let is_granted = peeked.iter().all(|(_, decision)| decision.is_granted());
        let mut grants = Vec::with_capacity(parts.len());
        let mut taken = Vec::with_capacity(parts.len());
        for (part, peek) in &peeked {
            // Of several limits one alone is asked to take only if it refuses.
            if !is_granted && peek.is_granted() {
                taken.push((*part, *peek));
                continue;
            }
            let take = Ask::Take(Take { cost: part.cost, queued });
            let decision = self.decide(part.lane, now, take);
            taken.push((*part, decision));
            grants.extend(decision.grant());
        }
        let verdict = Verdict::new(taken.iter().copied());
        if !verdict.is_granted() {
            // An algorithm refused what it had said that it would grant.
            for (part, decision) in taken {
                if let (true, Some(grant)) = (is_granted, decision.grant()) {
                    let _ = self.decide(part.lane, now, Ask::GiveBack(grant));
                }
            }
            return Tried::Refused(verdict);
        }
        for part in parts {
            self.changed(part.lane);
        }
        Tried::Granted(Taken { grants, binding: verdict.binding })
    }

    /// What each limit would answer.
    fn decide_each(&mut self, parts: &[Part], now: Nanos, queued: bool) -> Vec<(Part, Decision)> {
        let peek = |cost| Ask::Peek(Take { cost, queued });
        parts.iter().map(|part| (*part, self.decide(part.lane, now, peek(part.cost)))).collect()
    }

    fn peek_at(&mut self, parts: &[Part], now: Nanos) -> Verdict {
        Verdict::new(self.decide_each(parts, now, false))
    }

    pub(super) fn decide(&mut self, lane: LaneId, now: Nanos, ask: Ask) -> Decision {
        self.limits[lane.limit].decide(lane.key, now, ask)
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

    /// Keeps permits just taken until they are used.
    pub(super) fn hold(&mut self, parts: Vec<Part>, taken: Taken) -> Place {
        let place = self.calls.add(parts, Standing::Perished);
        self.grant(place, taken);
        place
    }

    /// The call at `place` has permits from now on.
    pub(super) fn grant(&mut self, place: Place, taken: Taken) {
        let grants = taken.grants;
        let Some(Call { parts, standing, waker, .. }) = self.calls.get_mut(place) else {
            return;
        };
        let keeps =
            |(part, grant): (&Part, &Grant)| grant.at + self.facts[part.lane.limit].shelf_life();
        let perishes = parts.iter().zip(&grants).map(keeps).min().unwrap_or(Nanos::MAX);
        for part in parts.iter() {
            self.lines.grant(part.lane, perishes, place);
        }
        self.perishing.insert((perishes, place));
        self.wakes.due.extend(waker.take());
        *standing = Standing::Granted(Unused { grants, perishes });
    }

    /// The permits of a call are not unused any more.
    pub(super) fn ungrant(&mut self, place: Place, parts: &[Part], perishes: Nanos) {
        self.perishing.remove(&(perishes, place));
        for part in parts {
            self.lines.ungrant(part.lane, perishes, place);
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
