//! Permits that were granted: used, given back, held until a call ends.

use super::{Perished, desk::Taken, line::Place, rules::Dated, shared::Shared};
use crate::{
    algorithm::{Algorithm, Permits, Poured},
    decision::{Ask, Decision, Grant},
    nanos::Nanos,
    store::table::Fingerprint,
};

/// Permits granted by a [`RateLimiter`](super::RateLimiter) or a
/// [`KeyedRateLimiter`](super::KeyedRateLimiter), and not used yet.
#[derive(Debug)]
#[must_use = "permits are committed or given back"]
pub struct Ticket {
    pub(super) key: Fingerprint,
    pub(super) place: Place,
}

/// Permits that were used.
pub(super) struct Used {
    pub(super) key: Fingerprint,
    how: How,
    /// How often everything had begun anew by then.
    resets: u32,
}

/// How permits were used.
enum How {
    /// At once, on the short way. Few ask how the limit stood then, and it takes a division to say.
    Poured(Poured),
    /// So the limit stood, and so long the call stood in line.
    Decided(Decision, Nanos),
}

impl Used {
    /// How the limit stood.
    pub(super) fn decision(&self) -> Decision {
        match self.how {
            How::Poured(poured) => poured.decision(),
            How::Decided(decision, _) => decision,
        }
    }

    /// How the limit stands with this call in it, where that is known from then.
    #[inline(always)]
    pub(super) fn look(&self) -> Option<Decision> {
        match self.how {
            How::Poured(Poured { bucket, grant, empty_at }) => {
                Some(bucket.look(empty_at, grant.at))
            }
            How::Decided(..) => None,
        }
    }

    /// How long the call stood in line.
    pub(super) fn waited(&self) -> Nanos {
        match self.how {
            How::Poured(_) => Nanos::ZERO,
            How::Decided(_, waited) => waited,
        }
    }

    fn grant(&self) -> Option<Grant> {
        match self.how {
            How::Poured(poured) => Some(poured.grant),
            How::Decided(decision, _) => decision.grant(),
        }
    }

    fn decide(&mut self, decision: Decision) {
        self.how = How::Decided(decision, self.waited());
    }
}

impl<A: Algorithm> Shared<A> {
    pub(super) fn keeps(&self, ticket: &Ticket) -> bool {
        match ticket.place {
            Place::FREE | Place::PROMISED => true,
            place => self.at(ticket.key, |desk| desk.is_fresh(place)).unwrap_or(false),
        }
    }

    /// Uses permits now, and says how the limit stands then.
    #[inline(always)]
    pub(super) fn commit(&self, ticket: Ticket) -> Result<Used, Perished> {
        let Ticket { key, place } = ticket;
        // Read before the lock is taken: whoever took permits at a later instant has given back
        // those that had perished by then.
        let now = self.now();
        match place {
            Place::PROMISED => match self.lanes.pour_promised(&self.short_way, now) {
                Some(poured) => Ok(self.admit_poured(key, poured)),
                None => {
                    // Or the clock was set back, and would promise as much again.
                    self.lanes.looked(now);
                    self.commit_in_line(key, place)
                }
            },
            _ => match self.lanes.commit_quickly(key, now, place) {
                Some(decision) => Ok(self.admit(key, decision, Nanos::ZERO)),
                None => self.commit_in_line(key, place),
            },
        }
    }

    /// Counts a call that takes place now.
    pub(super) fn admit(&self, key: Fingerprint, decision: Dated<Decision>, waited: Nanos) -> Used {
        let Dated { what: decision, resets } = decision;
        self.count(Used { key, how: How::Decided(decision, waited), resets })
    }

    /// The same for one that came by the short way.
    #[inline(always)]
    pub(super) fn admit_poured(&self, key: Fingerprint, poured: Dated<Poured>) -> Used {
        let Dated { what: poured, resets } = poured;
        self.count(Used { key, how: How::Poured(poured), resets })
    }

    /// Nothing else makes permits that were used.
    #[inline(always)]
    fn count(&self, used: Used) -> Used {
        self.meters.admitted();
        used
    }

    #[cold]
    #[inline(never)]
    fn commit_in_line(&self, key: Fingerprint, place: Place) -> Result<Used, Perished> {
        let decision = match place {
            // It holds nothing that a reset could forget.
            Place::FREE => Some(Dated { what: self.peek(key, 0), resets: 0 }),
            // Others may have been faster than anybody thought.
            Place::PROMISED => self
                .at(key, |desk| match desk.take(1) {
                    Taken::Granted(decision) => Some(desk.date(decision)),
                    Taken::Refused(_) | Taken::Behind | Taken::Closed => None,
                })
                .flatten(),
            place => self.at(key, |desk| desk.commit(place)).flatten(),
        };
        let decision = decision.ok_or(Perished)?;
        Ok(self.admit(key, decision, Nanos::ZERO))
    }

    pub(super) fn give_back(&self, ticket: Ticket) {
        match ticket.place {
            Place::FREE | Place::PROMISED => {}
            place => self.leave(ticket.key, place),
        }
    }

    /// Gives back permits that were used.
    pub(super) fn refund(&self, used: &Used) {
        self.settle(used, Ask::GiveBack);
    }

    /// The call that used these permits has ended.
    pub(super) fn end(&self, used: &Used) {
        self.settle(used, Ask::End);
    }

    /// The call that uses these permits goes on. Whether it still has them.
    pub(super) fn renew(&self, used: &mut Used) -> bool {
        match self.settle(used, Ask::Renew) {
            Some(decision) if decision.is_granted() => {
                used.decide(decision);
                true
            }
            Some(_) => false,
            None => used.grant().is_none_or(|grant| grant.cost == 0),
        }
    }

    /// The call that used these permits has cost so many, as it turned out.
    pub(super) fn settle_cost(&self, used: &mut Used, cost: u32) {
        let Some(correction) = used.grant().and_then(|grant| grant.correct(cost)) else {
            return;
        };
        // Where calls hold permits, all of them come back when the call ends, or count then.
        if A::Permits::HELD && self.lanes.algorithm_of(used.key).holds() {
            return;
        }
        match correction {
            Ask::Charge(more) => {
                // Its key may have been forgotten, and another may have its room. Nobody is there to
                // be told.
                let _ = self.charge(used.key, more);
            }
            back => {
                self.settle(used, |_| back);
            }
        }
        used.decide(used.decision().costing(cost));
    }

    fn settle(&self, used: &Used, ask: impl FnOnce(Grant) -> Ask) -> Option<Decision> {
        let grant = used.grant().filter(|grant| grant.cost > 0)?;
        let ask = Dated { what: ask(grant), resets: used.resets };
        let decision = self.at(used.key, |desk| desk.settle_used(ask)).flatten();
        self.lanes.forget(used.key, self.now());
        decision
    }
}
