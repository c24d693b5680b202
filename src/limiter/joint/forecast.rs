//! Looking ahead: when those in line will be served.

use super::{
    call::Calls,
    limit::{LaneId, Limit, Part},
    line::Lines,
    verdict::{Answer, Verdict},
};
use crate::{
    decision::{Ask, Outcome, Take},
    limiter::line::Place,
    nanos::Nanos,
};
use std::collections::{BTreeSet, HashMap};

/// How often a call is asked about later and later instants; twice is enough for limits that keep
/// what they say.
const ATTEMPTS: usize = 32;

/// How lanes go on until everybody in line has been served, each as early as it can be.
///
/// Lanes are looked at with all others that calls in their lines stand in, too. A call is served
/// once it is the first in all its lanes, so a lane serves in the order of the places, and going
/// through all calls in that order finds the instant of each.
pub(super) struct Forecast {
    covered: HashMap<LaneId, Covered>,
    /// How much later than need be those in line are let go: all instants here are that much
    /// earlier than what they say.
    slack: Nanos,
}

#[derive(Clone, Copy)]
struct Covered {
    /// When the last in line is served.
    until: Nanos,
    /// Whether that is known, and not only that it will not be earlier.
    known: bool,
}

impl Forecast {
    pub(super) fn new(slack: Nanos) -> Self {
        Self { covered: HashMap::new(), slack }
    }

    /// Whether anything was said about this lane.
    pub(super) fn covers(&self, lane: LaneId) -> bool {
        self.covered.contains_key(&lane)
    }

    pub(super) fn forget(&mut self, limits: &mut [Box<dyn Limit>]) {
        if !self.covered.is_empty() {
            self.covered.clear();
            limits.iter_mut().for_each(|limit| limit.stop_imagining());
        }
    }

    /// Looks ahead on the lanes of these parts, for one who stands `before` this place.
    pub(super) fn cover(
        &mut self,
        limits: &mut [Box<dyn Limit>],
        lines: &Lines,
        calls: &Calls,
        parts: &[Part],
        before: Place,
        now: Nanos,
    ) {
        let now = now - self.slack;
        let mut lanes: Vec<LaneId> = parts.iter().map(|part| part.lane).collect();
        let mut to_serve = BTreeSet::new();
        while let Some(lane) = lanes.pop() {
            if self.covers(lane) || lines.waiting(lane) == 0 {
                continue;
            }
            self.begin(limits, lane, now);
            for place in lines.waiting_before(lane, before) {
                if to_serve.insert(place)
                    && let Some(call) = calls.get(place)
                {
                    lanes.extend(call.parts.iter().map(|part| part.lane));
                }
            }
        }
        for place in to_serve {
            if let Some(call) = calls.get(place) {
                self.serve(limits, &call.parts, now);
            }
        }
    }

    /// Goes on with one more call, if it is behind calls that were looked at.
    pub(super) fn join(
        &mut self,
        limits: &mut [Box<dyn Limit>],
        lines: &Lines,
        parts: &[Part],
        now: Nanos,
    ) {
        if !parts.iter().any(|part| self.covers(part.lane)) {
            return;
        }
        let now = now - self.slack;
        for part in parts {
            match (self.covers(part.lane), lines.waiting(part.lane)) {
                (true, _) => {}
                (false, 0) => self.begin(limits, part.lane, now),
                // Two groups of lanes become one, and only one of them was looked at.
                (false, _) => return self.forget(limits),
            }
        }
        self.serve(limits, parts, now);
    }

    fn begin(&mut self, limits: &mut [Box<dyn Limit>], lane: LaneId, now: Nanos) {
        self.covered.insert(lane, Covered { until: now, known: true });
        limits[lane.limit].imagine(lane.key);
    }

    /// Serves one more call, all of whose lanes are covered.
    fn serve(&mut self, limits: &mut [Box<dyn Limit>], parts: &[Part], now: Nanos) {
        let (mut at, mut known) = self.start(parts, now);
        for _ in 0..ATTEMPTS {
            if !known {
                break;
            }
            match peek(limits, parts, at).outcome() {
                Outcome::Granted(_) => {
                    for part in parts {
                        let take = Ask::Take(Take::queued(part.cost));
                        let limit = &mut limits[part.lane.limit];
                        let taken = limit.decide_imagined(part.lane.key, at, take);
                        // It is let go that much later, and counts from then on where calls do.
                        if self.slack > Nanos::ZERO
                            && let Some(grant) = taken.grant()
                        {
                            let renew = Ask::Renew(grant);
                            let _ = limit.decide_imagined(part.lane.key, at + self.slack, renew);
                        }
                    }
                    break;
                }
                Outcome::Later(wait) => at = at + wait.max(Nanos::new(1)),
                Outcome::InUse(_) => known = false,
                // It will be told so, and makes way.
                Outcome::Never | Outcome::Exhausted => break,
            }
        }
        for part in parts {
            self.covered.insert(part.lane, Covered { until: at, known });
        }
    }

    /// When a call would be served that stands behind all others.
    pub(super) fn turn(
        &mut self,
        limits: &mut [Box<dyn Limit>],
        parts: &[Part],
        now: Nanos,
    ) -> Verdict {
        let (mut at, known) = self.start(parts, now - self.slack);
        let wait_until = |at: Nanos| at + self.slack - now;
        let mut by = self.last(limits, parts, at);
        if !known {
            return Verdict::in_line(by, wait_until(at), false);
        }
        for _ in 0..ATTEMPTS {
            let verdict = peek(limits, parts, at);
            match verdict.outcome() {
                Outcome::Granted(_) => break,
                Outcome::Never | Outcome::Exhausted => return verdict,
                Outcome::InUse(_) => return verdict.after(wait_until(at)),
                Outcome::Later(wait) => {
                    by = verdict.binding;
                    at = at + wait.max(Nanos::new(1));
                }
            }
        }
        Verdict::in_line(by, wait_until(at), true)
    }

    /// When everybody before a call has been served, and whether that is known.
    fn start(&self, parts: &[Part], now: Nanos) -> (Nanos, bool) {
        let lanes = parts.iter().filter_map(|part| self.covered.get(&part.lane));
        lanes.fold((now, true), |(at, known), lane| (at.max(lane.until), known && lane.known))
    }

    /// The answer of the lane whose line is the longest, or of which that is not known.
    fn last(&self, limits: &mut [Box<dyn Limit>], parts: &[Part], at: Nanos) -> Answer {
        let length = |part: &&Part| {
            let lane = self.covered.get(&part.lane);
            lane.map(|lane| (!lane.known, lane.until))
        };
        // Of several alike the first.
        let longest = parts.iter().rev().max_by_key(length);
        peek(limits, longest.map_or(parts, std::slice::from_ref), at).binding
    }
}

fn peek(limits: &mut [Box<dyn Limit>], parts: &[Part], at: Nanos) -> Verdict {
    Verdict::new(parts.iter().map(|part| {
        let ask = Ask::Peek(Take::queued(part.cost));
        (*part, limits[part.lane.limit].decide_imagined(part.lane.key, at, ask))
    }))
}
