//! Taking permits of several limits, all or none, and keeping them until they are used.

use super::{
    board::Board,
    call::{Call, Standing, Unused},
    limit::{LaneId, Part},
    verdict::{Answer, Verdict},
};
use crate::{
    decision::{Ask, Decision, Grant, Take},
    limiter::line::Place,
    nanos::Nanos,
};

/// Permits just taken.
pub(super) struct Taken {
    /// One for each part, in order; none for a call that passes and takes nothing.
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
    /// Takes all these permits, or none and says why.
    pub(super) fn take(&mut self, parts: &[Part], now: Nanos, queued: bool) -> Tried {
        let mut decided = self.decide_each(parts, now, queued);
        if decided.iter().any(|(_, decision)| !decision.is_granted()) {
            self.come(&mut decided, now, queued);
            return Tried::Refused(Verdict::new(decided));
        }
        let mut grants = Vec::with_capacity(parts.len());
        for (part, decision) in &mut decided {
            let take = Ask::Take(Take { cost: part.cost, queued });
            *decision = self.decide(part.lane, now, take);
            let Some(grant) = decision.grant() else {
                break;
            };
            grants.push(grant);
            self.changed(part.lane);
        }
        if grants.len() < parts.len() {
            // An algorithm refused what it had said that it would grant.
            for (part, grant) in parts.iter().zip(grants) {
                let _ = self.decide(part.lane, now, Ask::GiveBack(grant));
            }
            return Tried::Refused(Verdict::new(decided));
        }
        Tried::Granted(Taken { grants, binding: Verdict::new(decided).binding })
    }

    /// Asks those limits to take that refuse anyway: the time of some begins with the first call,
    /// and all that a refusal may change is that they remember it.
    fn come(&mut self, decided: &mut [(Part, Decision)], now: Nanos, queued: bool) {
        for (part, decision) in decided.iter_mut().filter(|(_, decision)| !decision.is_granted()) {
            let take = Ask::Take(Take { cost: part.cost, queued });
            let taken = self.decide(part.lane, now, take);
            match taken.grant() {
                Some(grant) => {
                    let _ = self.decide(part.lane, now, Ask::GiveBack(grant));
                }
                None => *decision = taken,
            }
        }
    }

    /// What each limit would answer.
    pub(super) fn decide_each(
        &mut self,
        parts: &[Part],
        now: Nanos,
        queued: bool,
    ) -> Vec<(Part, Decision)> {
        let peek = |cost| Ask::Peek(Take { cost, queued });
        parts.iter().map(|part| (*part, self.decide(part.lane, now, peek(part.cost)))).collect()
    }

    pub(super) fn peek_at(&mut self, parts: &[Part], now: Nanos) -> Verdict {
        Verdict::new(self.decide_each(parts, now, false))
    }

    pub(super) fn decide(&mut self, lane: LaneId, now: Nanos, ask: Ask) -> Decision {
        self.limits[lane.limit].decide(lane.key, now, ask)
    }

    /// What a call gets that passes: nothing, and how these limits stand.
    pub(super) fn pass(&mut self, parts: &[Part], now: Nanos) -> Taken {
        let free: Vec<_> = parts.iter().map(|part| Part { cost: 0, ..*part }).collect();
        Taken { grants: Vec::new(), binding: self.peek_at(&free, now).binding }
    }

    /// Keeps permits just taken until they are used.
    pub(super) fn keep_unused(&mut self, parts: Vec<Part>, taken: Taken, now: Nanos) -> Place {
        let place = self.calls.add(parts, now);
        if !taken.grants.is_empty() {
            self.grant(place, taken, now);
        }
        place
    }

    /// The call at `place` has permits from now on.
    pub(super) fn grant(&mut self, place: Place, taken: Taken, now: Nanos) {
        let grants = taken.grants;
        let Some(Call { parts, standing, waker, .. }) = self.calls.get_mut(place) else {
            return;
        };
        // A grant is later than now where the clock was set back.
        let keeps = |(part, grant): (&Part, &Grant)| {
            now.max(grant.at) + self.limits[part.lane.limit].shelf_life()
        };
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
