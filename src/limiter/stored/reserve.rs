//! Asking for permits, and waiting for them.

use super::{
    super::{Patience, Terms, rules::Gate},
    asking::Asking,
    reins::Fate,
    shared::Shared,
    ticket::StoredTicket,
};
use crate::{
    algorithm::Algorithm,
    error::{RateLimited, Reason},
    events,
    nanos::Nanos,
    store::{Store, StoreKey},
};
use std::pin::pin;

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    /// Asks for permits, and waits for them as long as the terms say.
    pub(super) async fn reserve(
        &self,
        key: &StoreKey,
        terms: &Terms,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let granted = self.undisturbed(key, terms).await;
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
        terms: &Terms,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let since = self.now();
        let before_it = self.reins.control();
        match before_it.gate() {
            Gate::Working => {}
            Gate::Open => return Ok(self.free(since)),
            Gate::Closed => return Err(self.refusal(Reason::Closed, *terms)),
        }
        if let Some(wait) = self.known_wait(key, *terms, since) {
            self.inquiry.pipeline.meters.remembered();
            return Err(self.refusal(Reason::UsedUp, *terms).with_retry_after(wait.into()));
        }
        let give_back = |granted: Result<_, _>| granted.map_or((), |ticket| self.give_back(ticket));
        // Each stays where it is, as whatever it is handed to would have room for it twice.
        let mut asking = Asking::new(self, key, *terms, since);
        let granted = pin!(asking.run());
        match self.reins.undisturbed(before_it, granted, give_back).await {
            Ok(granted) => granted,
            Err(Fate::Passes) => Ok(self.free(since)),
            Err(Fate::Cancelled) => Err(self.refusal(Reason::Cancelled, *terms)),
            Err(Fate::Closed) => Err(self.refusal(Reason::Closed, *terms)),
        }
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
}
