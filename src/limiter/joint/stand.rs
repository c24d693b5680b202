//! How several limits stand together, for whoever tells their callers.

use super::{board::Board, limit::Part};
use crate::{
    decision::{Ask, Decision, Take},
    limiter::{rules::Gate, standing::Standings},
    nanos::Nanos,
};

impl Board {
    /// How the limits of a call stand that was asked about just now.
    pub(super) fn standings(&mut self, now: Nanos, parts: Vec<Part>) -> Standings {
        self.serve(now);
        let asked: Vec<usize> = parts.iter().map(|part| part.lane.limit).collect();
        // A key without room is one of those that share a limit, as it was for the call.
        let Ok(parts) = self.keep(parts, now) else {
            return self.policies(asked.into_iter());
        };
        let mut standings = Standings::default();
        for part in &parts {
            let (limit, decision) = (part.lane.limit, self.standing(part, now));
            self.limits[limit].standing(Some(decision), &mut |rate| standings.add(limit, rate));
        }
        self.release(&parts, now);
        standings
    }

    /// What is left, and once that is nothing, how a call of one permit would fare.
    fn standing(&mut self, part: &Part, now: Nanos) -> Decision {
        let whole = self.decide(part.lane, now, Ask::Peek(Take::fresh(0)));
        let one = Part { cost: 1, ..*part };
        match self.gate == Gate::Working && self.lines.waiting(part.lane) > 0 {
            true => Decision { remaining: 0, ..self.turn(&[one], now).binding.decision },
            false if whole.remaining == 0 => self.decide(part.lane, now, Ask::Peek(Take::fresh(1))),
            false => whole,
        }
    }

    /// What these limits publish of themselves.
    pub(super) fn policies(&self, limits: impl Iterator<Item = usize>) -> Standings {
        let mut standings = Standings::default();
        for limit in limits {
            self.limits[limit].standing(None, &mut |rate| standings.add(limit, rate));
        }
        standings
    }
}
