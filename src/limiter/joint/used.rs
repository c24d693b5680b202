//! Permits that were used: given back, or held until a call ends.

use super::{
    board::Board,
    limit::{Part, limits_of},
    take::Taken,
    verdict::Answer,
};
use crate::{
    decision::{Ask, Decision, Grant},
    limiter::settled::Costs,
    nanos::Nanos,
};

/// Permits that were used.
#[derive(Clone, Debug)]
pub(super) struct Used {
    parts: Vec<Part>,
    /// One for each part, in order; none for a call that passed and took nothing.
    grants: Vec<Grant>,
    pub(super) binding: Answer,
    /// How long the call stood in line.
    pub(super) waited: Nanos,
    /// Whether some of them are held until the call ends.
    pub(super) holds: bool,
}

impl Used {
    /// They are settled: there is nothing more to do about them.
    pub(super) fn settled(&mut self) {
        self.grants.clear();
        self.holds = false;
    }
}

impl Board {
    /// Counts a call that takes place now. Nothing else makes permits that were used.
    pub(super) fn admit(&self, parts: Vec<Part>, taken: Taken, waited: Nanos) -> Used {
        limits_of(&parts).for_each(|limit| self.meters[limit].admitted());
        let Taken { grants, binding } = taken;
        let holds = !grants.is_empty() && self.holds(&parts);
        Used { parts, grants, binding, waited, holds }
    }

    /// Whether calls hold the permits of some of these parts until they end.
    pub(super) fn holds(&self, parts: &[Part]) -> bool {
        parts.iter().any(|part| self.limits[part.lane.limit].holds())
    }

    /// Uses permits just taken.
    pub(super) fn use_now(&mut self, parts: Vec<Part>, taken: Taken, now: Nanos) -> Used {
        if !taken.grants.is_empty() {
            self.release(&parts, now);
        }
        self.admit(parts, taken, Nanos::ZERO)
    }

    /// Tells each limit about permits that were used, and serves whom that lets go.
    pub(super) fn settle_used(&mut self, used: &mut Used, now: Nanos, ask: fn(Grant) -> Ask) {
        // Whoever is overdue is let go by how the limits stood until now.
        self.serve(now);
        for (part, grant) in used.parts.iter().zip(&used.grants) {
            let _ = self.settle(part, now, ask(*grant));
        }
        used.settled();
        self.serve(now);
    }

    /// Corrects what these limits were told that a call costs, and serves whom that lets go.
    pub(super) fn settle_costs(&mut self, used: &mut Used, now: Nanos, costs: Costs) {
        // Whoever is overdue is let go by how the limits stood until now.
        self.serve(now);
        for (part, grant) in used.parts.iter().zip(&mut used.grants) {
            let limit = part.lane.limit;
            let Some(cost) = costs.of(limit).filter(|_| !self.limits[limit].holds()) else {
                continue;
            };
            match grant.correct(cost) {
                // Its key may have been forgotten, and another may have its room. Nobody is there to
                // be told.
                Some(Ask::Charge(more)) => {
                    let _ = self.charge(vec![Part { cost: more, ..*part }], now);
                }
                Some(back) => {
                    self.settle(part, now, back);
                }
                None => continue,
            }
            grant.cost = cost;
        }
        self.serve(now);
    }

    /// The call that uses these permits goes on. Whether it has those still that it holds; if it
    /// lost some, it gives up the others.
    pub(super) fn renew_used(&mut self, used: &mut Used, now: Nanos) -> bool {
        self.serve(now);
        let mut has_all = true;
        for (part, grant) in used.parts.iter().zip(&mut used.grants) {
            if self.limits[part.lane.limit].holds() {
                let renewed = self.settle(part, now, Ask::Renew(*grant));
                match renewed.and_then(|decision| decision.grant()) {
                    Some(renewed) => *grant = renewed,
                    None => has_all = false,
                }
            }
        }
        match has_all {
            true => self.serve(now),
            false => self.settle_used(used, now, Ask::End),
        }
        has_all
    }

    fn settle(&mut self, part: &Part, now: Nanos, ask: Ask) -> Option<Decision> {
        let Part { lane, birth, .. } = *part;
        let decision = self.limits[lane.limit].settle(lane.key, birth, now, ask)?;
        self.look_behind(lane);
        Some(decision)
    }
}
