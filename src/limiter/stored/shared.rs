//! Asking the store, and standing by its answer.

use super::{
    super::{Attempt, Limiter, Patience, Terms, rules::Gate},
    breaker::Breaker,
    failing::Failing,
    group::{Decided, Group, undo},
    line::{AGAIN, Lines, Place},
    pipeline::Pipeline,
    refused::Refused,
    ticket::{From, StoredTicket, Taken},
    time::{Either, before, first_of},
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    decision::{Ask, Decision, Outcome},
    error::{RateLimited, Reason},
    events,
    meters::Meters,
    nanos::Nanos,
    store::{Order, Store, StoreAsk, StoreError, StoreKey, StoredLimit},
};
use std::{
    fmt,
    future::pending,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::watch;

/// A limiter without its handle.
pub(super) struct Shared<A: Algorithm, S: Store<A>> {
    pub(super) limit: RwLock<Arc<StoredLimit<A>>>,
    pub(super) pipeline: Arc<Pipeline<A, S>>,
    pub(super) failing: Failing<A>,
    pub(super) breaker: Breaker,
    pub(super) refused: Option<Refused>,
    pub(super) control: watch::Sender<Control>,
    pub(super) asks: AtomicUsize,
    pub(super) lines: Lines,
    pub(super) settings: Settings,
    pub(super) meters: Meters,
}

/// What a limiter is built with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) deadline: Nanos,
    pub(super) max_asks: usize,
}

/// Who has taken hold of the limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) gate: Gate,
    /// How often all who waited were sent away.
    pub(super) cancels: u64,
}

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    pub(super) fn now(&self) -> Nanos {
        self.settings.clock.now()
    }

    pub(super) fn limit(&self) -> Arc<StoredLimit<A>> {
        Arc::clone(&self.limit.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn order(&self, key: StoreKey, ask: StoreAsk) -> Order<A> {
        Order { limit: self.limit(), key, ask, is_with_previous: false }
    }

    /// Asks for permits, and waits for them as long as the terms say.
    pub(super) async fn reserve(
        self: Arc<Self>,
        key: StoreKey,
        terms: Terms,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let since = self.now();
        let granted = self.granted(key, terms, since).await;
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

    async fn granted(
        &self,
        key: StoreKey,
        terms: Terms,
        since: Nanos,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let before_it = *self.control.borrow();
        match before_it.gate {
            Gate::Working => {}
            Gate::Open => return Ok(self.free(since)),
            Gate::Closed => return Err(self.refusal(Reason::Closed, terms)),
        }
        if let Some(wait) = self.known_wait(&key, terms, since) {
            return Err(self.refusal(Reason::UsedUp, terms).with_retry_after(wait.into()));
        }
        let end = match terms.patience {
            Patience::Timeout(longest) => since + longest.into(),
            Patience::MaxWait(longest) if self.limit().algorithm.holds() => since + longest.into(),
            _ => Nanos::MAX,
        };
        let mut longest = terms.patience.longest().map_or(Nanos::MAX, Nanos::from);
        let mut place = match terms.cost > 0 && self.lines.has(&key) {
            true if terms.patience == Patience::Now => {
                return Err(self.refusal(Reason::UsedUp, terms));
            }
            true => Some(self.lines.join(&key, since)),
            false => None,
        };
        loop {
            if let Some(place) = &place {
                let turn = before(&self.settings.clock, end, self.turn(place));
                match first_of(turn, self.disturbed(before_it)).await {
                    Either::First(Some(())) => {}
                    Either::First(None) => return Err(self.refusal(Reason::UsedUp, terms)),
                    Either::Second(now) => return self.sent_away(now, terms, since),
                }
            }
            let sent = self.now();
            let ask = StoreAsk::Reserve { cost: terms.cost, max_wait: longest };
            let decided = match self.ask(key.clone(), ask).await {
                Ok(decided) => decided,
                Err(error) => return self.without_store(&key, terms, since, error).await,
            };
            let decision = decided.answer().decision;
            let again = match decision.outcome {
                Outcome::Granted(_) => {
                    drop(place);
                    return self.stand_by(decided, key, terms, since, before_it).await;
                }
                Outcome::Later(wait) => {
                    self.note_refusal(&key, terms.cost, sent + wait);
                    match terms.patience {
                        // Those before it may give up: it asks again at the end.
                        Patience::Timeout(_) if self.now() < end => end,
                        _ => return Err(self.decided(Reason::UsedUp, decision, terms)),
                    }
                }
                Outcome::InUse(hint) if terms.patience != Patience::Now && self.now() < end => {
                    place.get_or_insert_with(|| self.lines.join(&key, self.now()));
                    (self.now() + hint.unwrap_or(AGAIN).min(AGAIN)).min(end)
                }
                Outcome::InUse(_) => return Err(self.decided(Reason::UsedUp, decision, terms)),
                Outcome::Exhausted => return Err(self.decided(Reason::Exhausted, decision, terms)),
                Outcome::Never => return Err(self.decided(Reason::TooCostly, decision, terms)),
            };
            longest = longest.min(end - again);
            let called = async {
                match &place {
                    Some(place) => place.called.notified().await,
                    None => pending().await,
                }
            };
            let again = before(&self.settings.clock, again, called);
            if let Either::Second(now) = first_of(again, self.disturbed(before_it)).await {
                return self.sent_away(now, terms, since);
            }
        }
    }

    /// Waits until it is the turn of this place to ask.
    async fn turn(&self, place: &Place<'_>) {
        while let Err(again) = place.look(self.now()) {
            let _ = before(&self.settings.clock, again, place.called.notified()).await;
        }
    }

    /// Waits until permits that were granted may be used.
    async fn stand_by(
        &self,
        decided: Decided<A, S>,
        key: StoreKey,
        terms: Terms,
        since: Nanos,
        before_it: Control,
    ) -> Result<StoredTicket<A>, RateLimited> {
        // The store decided before its answer came: not too early, wherever the time went.
        let at = self.now() + decided.answer().wait;
        if decided.answer().wait > Nanos::ZERO {
            let waiting = self.meters.line().joined();
            events::waits(Some(&self.limit().name), terms.cost);
            let disturbed = before(&self.settings.clock, at, self.disturbed(before_it)).await;
            drop(waiting);
            if let Some(now) = disturbed {
                return self.sent_away(now, terms, since);
            }
        } else if let Some(now) = self.is_disturbed(before_it) {
            return self.sent_away(now, terms, since);
        }
        if let Failing::Local(local) = &self.failing {
            let now = Terms { patience: Patience::Now, ..terms };
            drop(local.take(key.bytes(), now));
        }
        let waited = match decided.answer().wait {
            Nanos::ZERO => Nanos::ZERO,
            _ => self.now() - since,
        };
        let limit = self.limit();
        let from = From::Store(Taken { limit, key, answer: decided.take() });
        Ok(StoredTicket { from, at, waited })
    }

    /// What the policy says for a call that the store did not answer.
    async fn without_store(
        &self,
        key: &StoreKey,
        terms: Terms,
        since: Nanos,
        error: StoreError,
    ) -> Result<StoredTicket<A>, RateLimited> {
        let local = match &self.failing {
            Failing::Refuse => {
                return Err(self.refusal(Reason::Unavailable, terms).with_cause(error));
            }
            Failing::Admit => return Ok(self.free(since)),
            Failing::Local(local) => local,
        };
        let ticket = match local.reserve(key.bytes(), terms) {
            Attempt::Now(result) => result?,
            Attempt::Later(waiting) => waiting.await?,
        };
        let at = self.now();
        Ok(StoredTicket { from: From::Local(ticket), at, waited: at - since })
    }

    /// Asks the store, if it answers these days, and no longer than a decision may take.
    pub(super) async fn ask(
        &self,
        key: StoreKey,
        ask: StoreAsk,
    ) -> Result<Decided<A, S>, StoreError> {
        let sent = self.now();
        let under_way = UnderWay::new(&self.asks);
        if under_way.asks() > self.settings.max_asks {
            return Err(StoreError::new("as many asks as may be are under way"));
        }
        if !self.breaker.lets_through(sent) {
            return Err(StoreError::new(
                "it has failed several times, and is left alone for a while",
            ));
        }
        let group = Group::one(self.order(key, ask));
        let end = sent + self.settings.deadline;
        let asked = before(&self.settings.clock, end, self.pipeline.ask(group)).await;
        let decided = match asked {
            Some(decided) => decided,
            None => Err(StoreError::new("it did not answer in time")),
        };
        match &decided {
            Ok(_) => self.breaker.answered(),
            Err(_) => self.breaker.failed(self.now()),
        }
        decided
    }

    /// Tells the store, without waiting for an answer.
    pub(super) fn tell(&self, taken: &Taken<A>, ask: StoreAsk) {
        let (limit, key) = (Arc::clone(&taken.limit), taken.key.clone());
        self.forget_refusal(&key);
        self.pipeline.send(Order { limit, key, ask, is_with_previous: false });
        self.lines.call(&taken.key);
    }

    /// Permits that are not used go back.
    pub(super) fn give_back(&self, ticket: StoredTicket<A>) {
        match ticket.from {
            From::Store(taken) => {
                let reserve = StoreAsk::Reserve { cost: 1, max_wait: Nanos::ZERO };
                if let Some(ask) = undo(reserve, taken.answer) {
                    self.tell(&taken, ask);
                }
            }
            From::Local(ticket) => {
                if let Failing::Local(local) = &self.failing {
                    local.give_back(ticket);
                }
            }
            From::Nobody => {}
        }
    }

    /// The call that used these permits has ended.
    pub(super) fn end(&self, taken: &Taken<A>) {
        let grant = taken.answer.decision.grant().filter(|grant| grant.cost > 0);
        if let Some(grant) = grant.filter(|_| taken.limit.algorithm.holds()) {
            self.tell(taken, StoreAsk::Ask(Ask::End(grant)));
        }
    }

    fn free(&self, now: Nanos) -> StoredTicket<A> {
        StoredTicket { from: From::Nobody, at: now, waited: Nanos::ZERO }
    }

    /// How long a call is refused in any case, if it would not wait so long.
    fn known_wait(&self, key: &StoreKey, terms: Terms, now: Nanos) -> Option<Nanos> {
        if terms.cost == 0 || matches!(terms.patience, Patience::Timeout(_) | Patience::Forever) {
            return None;
        }
        let wait = self.refused.as_ref()?.wait(key, terms.cost, now)?;
        let longest = terms.patience.longest().map_or(Nanos::MAX, Nanos::from);
        (wait > longest).then_some(wait)
    }

    fn note_refusal(&self, key: &StoreKey, cost: u32, until: Nanos) {
        if let Some(refused) = &self.refused {
            refused.note(key, cost, until, self.now());
        }
    }

    pub(super) fn forget_refusal(&self, key: &StoreKey) {
        if let Some(refused) = &self.refused {
            refused.forget(key);
        }
    }

    /// Whether permits are not too old to be used.
    pub(super) fn keeps(&self, ticket: &StoredTicket<A>) -> bool {
        match (&ticket.from, &self.failing) {
            (From::Store(taken), _) => self.now() < ticket.at + taken.limit.algorithm.shelf_life(),
            (From::Local(ticket), Failing::Local(local)) => local.keeps(ticket),
            (From::Local(_) | From::Nobody, _) => true,
        }
    }

    /// What somebody did with the limiter since.
    fn is_disturbed(&self, before: Control) -> Option<Control> {
        let now = *self.control.borrow();
        (now != before).then_some(now)
    }

    /// The same, once somebody does.
    async fn disturbed(&self, before: Control) -> Control {
        let mut control = self.control.subscribe();
        // The sender lives as long as this limiter.
        match control.wait_for(|now| *now != before).await {
            Ok(now) => *now,
            Err(_) => before,
        }
    }

    fn sent_away(
        &self,
        control: Control,
        terms: Terms,
        since: Nanos,
    ) -> Result<StoredTicket<A>, RateLimited> {
        match control.gate {
            Gate::Open => Ok(self.free(since)),
            Gate::Working => Err(self.refusal(Reason::Cancelled, terms)),
            Gate::Closed => Err(self.refusal(Reason::Closed, terms)),
        }
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

    pub(super) fn refusal(&self, reason: Reason, terms: Terms) -> RateLimited {
        let limit = self.limit();
        terms.refusal(reason, Some(&limit.name))
    }
}

/// Counts an ask for as long as it is under way.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(asks: &'a AtomicUsize) -> Self {
        asks.fetch_add(1, Ordering::Relaxed);
        Self(asks)
    }

    /// How many there are, with this one.
    fn asks(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A: Algorithm + fmt::Debug, S: Store<A>> fmt::Debug for Shared<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredLimiter").field("limit", &self.limit()).finish_non_exhaustive()
    }
}
