//! The way of one call to its permits.

use super::{
    super::{Patience, Terms},
    first::{Either, first_of},
    group::Decided,
    known::Known,
    line::{AGAIN, Lane, Place},
    resets::Watch,
    shared::Shared,
    ticket::{From, StoredTicket},
};
use crate::{
    algorithm::Algorithm,
    clock::before,
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    events,
    meters::InLine,
    nanos::Nanos,
    store::{Store, StoreAsk, StoreError, StoreKey},
};
use std::{future::pending, sync::Arc};

/// A call that asks the store, and waits. Dropped, it takes nothing.
pub(super) struct Asking<'a, A: Algorithm, S: Store<A>> {
    shared: &'a Shared<A, S>,
    key: &'a StoreKey,
    terms: Terms,
    since: Nanos,
    /// When it gives up.
    end: Nanos,
    /// The longest wait that the store may decide on.
    longest: Nanos,
    /// Where permits are held, its place among those in this process who ask again and again.
    place: Option<Place<'a>>,
    /// It is known to wait.
    waiting: Option<(InLine, Watch<'a>)>,
}

impl<'a, A: Algorithm, S: Store<A>> Asking<'a, A, S> {
    pub(super) fn new(
        shared: &'a Shared<A, S>,
        key: &'a StoreKey,
        terms: Terms,
        since: Nanos,
    ) -> Self {
        let end = match terms.patience {
            Patience::Timeout(longest) => since + longest.into(),
            Patience::MaxWait(longest) if shared.limit().algorithm.holds() => {
                since + longest.into()
            }
            _ => Nanos::MAX,
        };
        let longest = terms.patience.longest().map_or(Nanos::MAX, Nanos::from);
        Self { shared, key, terms, since, end, longest, place: None, waiting: None }
    }

    /// Asks until there is an answer that this call can go by.
    pub(super) async fn run(&mut self) -> Result<StoredTicket<A>, RateLimited> {
        if self.terms.cost > 0 && self.known().lines.has(|| self.lane(), self.since) {
            if self.terms.patience == Patience::Now {
                return Err(self.refusal(Reason::UsedUp));
            }
            self.get_in_line();
            self.wait()?;
        }
        // What few calls come to is boxed, and no answer is kept meanwhile: every call has room for all that
        // it may have at once.
        let waits = loop {
            if let Some(place) = &self.place {
                Box::pin(self.turn(place)).await?;
            }
            let again = match self.ask().await {
                Ok(decided) if decided.answer().is_granted() => {
                    self.place = None;
                    let wait = decided.answer().wait;
                    if wait == Nanos::ZERO {
                        // Permits do not age while their caller waits to be run.
                        return Ok(self.granted(decided, self.shared.now()));
                    }
                    // The store decided before its answer came: not too early, wherever the time went.
                    let at = decided.at + wait;
                    break Ok((decided, at));
                }
                Ok(decided) => self.asks_again_at(decided.answer().decision)?,
                Err(error) => break Err(error),
            };
            Box::pin(self.ask_again(again)).await?;
        };
        match waits {
            Ok((decided, at)) => {
                self.wait()?;
                Box::pin(self.slot(at)).await?;
                Ok(self.granted(decided, at))
            }
            Err(error) => {
                (self.place, self.waiting) = (None, None);
                Box::pin(self.shared.without_store(self.key, self.terms, self.since, error)).await
            }
        }
    }

    /// Waits until nobody of this process is before it.
    async fn turn(&self, place: &Place<'_>) -> Result<(), RateLimited> {
        let clock = self.shared.inquiry.clock();
        let turn = self.unless_reset(before(clock, self.end, place.turn(clock))).await?;
        turn.ok_or_else(|| self.refusal(Reason::UsedUp))?;
        place.asks(self.shared.inquiry.answer_by());
        Ok(())
    }

    /// Asks the store by the limit as it is now.
    async fn ask(&self) -> Result<Decided<A, S>, StoreError> {
        // Who has not waited has just come.
        let now = self.waiting.as_ref().map_or(self.since, |_| self.shared.now());
        let refused = self.known().refused.as_ref();
        let sent = refused.map(|refused| (refused, refused.sent(), now));
        // Some of its time may be over: it has stood in line, or asked before.
        let max_wait = self.longest.min(self.end - now);
        let ask = StoreAsk::Reserve { cost: self.terms.cost, max_wait };
        let decided = self.shared.ask(self.shared.limit(), self.key, ask, now).await?;
        if let Outcome::Later(wait) = decided.answer().decision.outcome
            && let Some((refused, seen, sent)) = sent
        {
            refused.note(self.key, self.terms.cost, sent + wait, self.shared.now(), seen);
        }
        Ok(decided)
    }

    /// Waits for its slot.
    async fn slot(&self, at: Nanos) -> Result<(), RateLimited> {
        let slot = before(self.shared.inquiry.clock(), at, pending::<()>());
        self.unless_reset(slot).await.map(drop)
    }

    /// Has its slot, which came at this instant.
    fn granted(&mut self, decided: Decided<A, S>, at: Nanos) -> StoredTicket<A> {
        self.shared.use_up_share(self.key, self.terms.cost);
        let waited = self.waiting.take().map_or(Nanos::ZERO, |_| self.shared.now() - self.since);
        StoredTicket { from: From::Store(decided.take_order()), at, waited }
    }

    /// When to ask again after a refusal.
    ///
    /// # Errors
    ///
    /// Where that makes no sense.
    fn asks_again_at(&mut self, decision: Decision) -> Result<Nanos, RateLimited> {
        let (now, patience) = (self.shared.now(), self.terms.patience);
        let reason = match decision.outcome {
            // Those before it may give up: it asks again at the end.
            Outcome::Later(_) if matches!(patience, Patience::Timeout(_)) && now < self.end => {
                return Ok(self.end);
            }
            Outcome::InUse(hint) if patience != Patience::Now && now < self.end => {
                self.get_in_line();
                return Ok((now + hint.unwrap_or(AGAIN).min(AGAIN)).min(self.end));
            }
            Outcome::Exhausted => Reason::Exhausted,
            Outcome::Never => Reason::TooCostly,
            Outcome::Granted(_) | Outcome::Later(_) | Outcome::InUse(_) => Reason::UsedUp,
        };
        let mut refusal = self.refusal(reason).with_answers(vec![decision]);
        if let Some(rate) = self.shared.limit().algorithm.rate(decision.rate) {
            refusal = refusal.with_rate(rate);
        }
        Err(match decision.outcome {
            Outcome::Later(wait) | Outcome::InUse(Some(wait)) => {
                refusal.with_retry_after(wait.into())
            }
            _ => refusal,
        })
    }

    /// Waits until it asks again: then, or when somebody calls it.
    async fn ask_again(&mut self, again: Nanos) -> Result<(), RateLimited> {
        self.wait()?;
        let clock = self.shared.inquiry.clock();
        match &self.place {
            Some(place) => {
                place.asks_again(self.shared.now());
                self.unless_reset(before(clock, again, place.called.notified())).await?;
            }
            None => {
                self.unless_reset(before(clock, again, pending::<()>())).await?;
            }
        }
        Ok(())
    }

    fn get_in_line(&mut self) {
        if self.place.is_none() {
            self.place = Some(self.known().lines.join(self.lane(), self.shared.now()));
        }
    }

    /// Lets everybody know that it waits, the first time.
    ///
    /// # Errors
    ///
    /// When as many wait there already as may.
    fn wait(&mut self) -> Result<(), RateLimited> {
        if self.waiting.is_none() {
            let watch = self.known().resets.watch(vec![self.lane()]);
            let watch = watch.ok_or_else(|| self.refusal(Reason::QueueFull))?;
            events::waits(Some(&self.shared.limit().name), self.terms.cost);
            self.waiting = Some((self.shared.meters.line().joined(), watch));
        }
        Ok(())
    }

    /// What the future comes to.
    ///
    /// # Errors
    ///
    /// When the key begins anew meanwhile.
    async fn unless_reset<F: Future>(&self, future: F) -> Result<F::Output, RateLimited> {
        let Some((_, watch)) = &self.waiting else { return Ok(future.await) };
        match first_of(future, watch.reset()).await {
            Either::First(output) => Ok(output),
            Either::Second(()) => Err(self.refusal(Reason::Cancelled)),
        }
    }

    fn known(&self) -> &'a Known {
        self.shared.inquiry.known()
    }

    fn lane(&self) -> Lane {
        Lane { limit: Arc::clone(&self.shared.limit().name), key: self.key.clone() }
    }

    fn refusal(&self, reason: Reason) -> RateLimited {
        self.shared.refusal(reason, self.terms)
    }
}
