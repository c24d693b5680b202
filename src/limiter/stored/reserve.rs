//! Asking for permits, and waiting for them.

use super::{
    super::{Patience, Terms, rules::Gate},
    line::{AGAIN, Lane},
    reins::Fate,
    shared::Shared,
    ticket::{From, StoredTicket, Taken},
    time::before,
};
use crate::{
    algorithm::Algorithm,
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    events,
    meters::InLine,
    nanos::Nanos,
    store::{Store, StoreAsk, StoreKey},
};
use std::{future::pending, sync::Arc};

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    /// Asks for permits, and waits for them as long as the terms say.
    pub(super) async fn reserve(
        self: Arc<Self>,
        key: StoreKey,
        terms: Terms,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let granted = self.undisturbed(&key, terms).await;
        match &granted {
            Ok(ticket) if ticket.waited > Nanos::ZERO => {
                self.meters.waited(ticket.waited);
                events::let_go(Some(&self.limit().name), terms.cost, ticket.waited);
            }
            Ok(_) => {}
            Err(refusal) => {
                self.meters.refused(refusal.reason());
                events::refused(refusal);
            }
        }
        granted
    }

    /// The same, unless somebody takes hold of the limiter meanwhile.
    async fn undisturbed(
        &self,
        key: &StoreKey,
        terms: Terms,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let since = self.now();
        let before_it = self.reins.control();
        match before_it.gate {
            Gate::Working => {}
            Gate::Open => return Ok(self.free(since)),
            Gate::Closed => return Err(self.refusal(Reason::Closed, terms)),
        }
        if let Some(wait) = self.known_wait(key, terms, since) {
            self.inquiry.pipeline.meters.remembered();
            return Err(self.refusal(Reason::UsedUp, terms).with_retry_after(wait.into()));
        }
        let give_back = |granted: Result<_, _>| granted.map_or((), |ticket| self.give_back(ticket));
        let granted = self.granted(key, terms, since);
        match self.reins.undisturbed(before_it, granted, give_back).await {
            Ok(granted) => granted,
            Err(Fate::Passes) => Ok(self.free(since)),
            Err(Fate::Cancelled) => Err(self.refusal(Reason::Cancelled, terms)),
            Err(Fate::Closed) => Err(self.refusal(Reason::Closed, terms)),
        }
    }

    async fn granted(
        &self,
        key: &StoreKey,
        terms: Terms,
        since: Nanos,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let (clock, known) = (self.inquiry.clock(), self.inquiry.known());
        let end = match terms.patience {
            Patience::Timeout(longest) => since + longest.into(),
            Patience::MaxWait(longest) if self.limit().algorithm.holds() => since + longest.into(),
            _ => Nanos::MAX,
        };
        let mut longest = terms.patience.longest().map_or(Nanos::MAX, Nanos::from);
        let mut place = match terms.cost > 0 && known.lines.has(&self.limit().name, key, since) {
            true if terms.patience == Patience::Now => {
                return Err(self.refusal(Reason::UsedUp, terms));
            }
            true => Some(known.lines.join(self.lane(key), since)),
            false => None,
        };
        let mut in_line = place.as_ref().map(|_| self.joins(terms));
        loop {
            if let Some(place) = &place {
                if before(clock, end, place.turn(clock)).await.is_none() {
                    return Err(self.refusal(Reason::UsedUp, terms));
                }
                place.asks(self.inquiry.answer_by());
            }
            let (sent, seen) = (self.now(), known.refused.as_ref().map(|known| known.sent()));
            let limit = self.limit();
            let ask = StoreAsk::Reserve { cost: terms.cost, max_wait: longest };
            let decided = match self.ask(&limit, key, ask).await {
                Ok(decided) => decided,
                Err(error) => {
                    drop((place, in_line));
                    return self.without_store(key, terms, error).await;
                }
            };
            let decision = decided.answer().decision;
            let again = match decision.outcome {
                Outcome::Granted(_) => {
                    drop(place);
                    // The store decided before its answer came: not too early, wherever the time
                    // went.
                    let at = self.now() + decided.answer().wait;
                    if at > self.now() {
                        in_line.get_or_insert_with(|| self.joins(terms));
                        before(clock, at, pending::<()>()).await;
                    }
                    self.use_up_share(key, terms.cost);
                    let waited = in_line.map_or(Nanos::ZERO, |_| self.now() - since);
                    let from =
                        From::Store(Taken { limit, key: key.clone(), answer: decided.take() });
                    return Ok(StoredTicket { from, at, waited });
                }
                Outcome::Later(wait) => {
                    if let (Some(refused), Some(seen)) = (&known.refused, seen) {
                        refused.note(key, terms.cost, sent + wait, self.now(), seen);
                    }
                    match terms.patience {
                        // Those before it may give up: it asks again at the end.
                        Patience::Timeout(_) if self.now() < end => end,
                        _ => return Err(self.decided(Reason::UsedUp, decision, terms)),
                    }
                }
                Outcome::InUse(hint) if terms.patience != Patience::Now && self.now() < end => {
                    place.get_or_insert_with(|| known.lines.join(self.lane(key), self.now()));
                    (self.now() + hint.unwrap_or(AGAIN).min(AGAIN)).min(end)
                }
                Outcome::InUse(_) => return Err(self.decided(Reason::UsedUp, decision, terms)),
                Outcome::Exhausted => return Err(self.decided(Reason::Exhausted, decision, terms)),
                Outcome::Never => return Err(self.decided(Reason::TooCostly, decision, terms)),
            };
            in_line.get_or_insert_with(|| self.joins(terms));
            longest = longest.min(end - again);
            match &place {
                Some(place) => {
                    place.asks_again(self.now());
                    before(clock, again, place.called.notified()).await;
                }
                None => {
                    before(clock, again, pending::<()>()).await;
                }
            }
        }
    }

    fn lane(&self, key: &StoreKey) -> Lane {
        Lane { limit: Arc::clone(&self.limit().name), key: key.clone() }
    }

    /// A call gets in line.
    fn joins(&self, terms: Terms) -> InLine {
        events::waits(Some(&self.limit().name), terms.cost);
        self.meters.line().joined()
    }

    /// How long a call is refused in any case, if it would not wait so long.
    fn known_wait(&self, key: &StoreKey, terms: Terms, now: Nanos) -> Option<Nanos> {
        if terms.cost == 0 || matches!(terms.patience, Patience::Timeout(_) | Patience::Forever) {
            return None;
        }
        let wait = self.inquiry.known().refused.as_ref()?.wait(key, terms.cost, now)?;
        let longest = terms.patience.longest().map_or(Nanos::MAX, Nanos::from);
        (wait > longest).then_some(wait)
    }

    fn decided(&self, reason: Reason, decision: Decision, terms: Terms) -> RateLimited {
        let mut refusal = self.refusal(reason, terms);
        if let Some(rate) = self.limit().algorithm.rate(decision.rate) {
            refusal = refusal.with_rate(rate);
        }
        match decision.outcome {
            Outcome::Later(wait) | Outcome::InUse(Some(wait)) => {
                refusal.with_retry_after(wait.into())
            }
            _ => refusal,
        }
    }
}
