//! A call, as the limits in a store it is subject to.

use super::{
    super::{
        super::joint::{
            refused::Refused,
            verdict::{Answer, Verdict},
        },
        group::Group,
        line::Lane,
    },
    StoredJointAcquire, StoredJointHold, StoredJointPermit, StoredJointTicket, StoredJointWaiting,
    part::Part,
    shared::Shared,
};
use crate::{
    algorithm::AnyAlgorithm,
    decision::{Ask, Take},
    error::{RateLimited, Reason},
    events,
    key::Key,
    limiter::{
        Attempt, Binding, LimitId, Limiter, Patience, Perished, Settles, Standing, Terms, standing,
    },
    store::{Store, StoreAsk, StoreError, StoreKey},
};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;

/// The limits of a [`StoredJointLimiter`](super::StoredJointLimiter) that a call is subject to, with a key and
/// a cost for each; made by [`StoredJointLimiter::on`](super::StoredJointLimiter::on).
///
/// It can be asked over and over, and it is a [`Limiter`]: a layer that waits in `poll_ready` can
/// be built on it. There its keys are fixed, the key it is asked with is ignored, and a cost
/// other than 1 multiplies its own.
#[must_use = "nothing is limited before it is asked"]
pub struct StoredOnLimits<S: Store<AnyAlgorithm>> {
    shared: Arc<Shared<S>>,
    parts: Vec<Part>,
    /// What all keys begin with.
    tag: Option<StoreKey>,
    /// Whether it names a limit of another limiter.
    is_foreign: bool,
}

impl<S: Store<AnyAlgorithm>> StoredOnLimits<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, tag: Option<StoreKey>) -> Self {
        Self { shared, parts: Vec::new(), tag, is_foreign: false }
    }

    /// Adds one permit of this limit for this key. The same limit and key named twice cost twice.
    pub fn on<K: Key + ?Sized>(self, limit: LimitId, key: &K) -> Self {
        self.on_many(limit, key, 1)
    }

    /// Adds this many permits of this limit for this key; none at a cost of 0.
    ///
    /// A limit of another limiter is an error when it is asked:
    /// [`UnknownLimit`](Reason::UnknownLimit).
    pub fn on_many<K: Key + ?Sized>(mut self, limit: LimitId, key: &K, cost: u32) -> Self {
        if limit.of != self.shared.id {
            self.is_foreign = true;
            return self;
        }
        let key = match &self.tag {
            Some(tag) => StoreKey::below(tag, key),
            None => StoreKey::new(key),
        };
        let is_same = |part: &&mut Part| part.limit == limit.index && part.key == key;
        match self.parts.iter_mut().find(is_same) {
            Some(part) => part.cost = part.cost.saturating_add(cost),
            None => self.parts.push(Part { limit: limit.index, key, cost }),
        }
        self
    }

    /// Takes the permits of all limits now, or none. It waits only for the store to answer.
    ///
    /// # Errors
    ///
    /// [`RateLimited`], in the name of the binding limit, when one of them refuses or others in this process wait for
    /// one of the keys, and when the store does not answer and calls are refused then.
    /// [`NotTogether`](Reason::NotTogether) when the keys lie in different places of the store.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes nothing: what was granted meanwhile goes back.
    pub async fn try_acquire(&self) -> Result<StoredJointPermit<S>, RateLimited> {
        self.acquire_on(Terms { cost: 1, patience: Patience::Now }).await
    }

    /// Takes the permits of all limits, and waits until they are there together; [`StoredJointAcquire`] says
    /// how to wait less.
    pub fn acquire(&self) -> StoredJointAcquire<S> {
        StoredJointAcquire::new(self.clone())
    }

    /// Returns what would happen if it asked now, and takes nothing. It asks about each limit by
    /// itself, in one round trip.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](Reason::Unavailable) when the store does not answer.
    pub async fn peek(&self) -> Result<Binding, RateLimited> {
        let verdict = self.ask_each(1, |cost| StoreAsk::Ask(Ask::Peek(Take::fresh(cost)))).await?;
        Ok(self.shared.binding(&verdict.binding))
    }

    /// Takes permits of all its limits whether they are available or not: for a call that turned
    /// out to cost more than it asked for, or as a penalty. A cost other than 1 multiplies its own.
    /// What is missing is a debt, and no call passes before it is paid off.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](Reason::Unavailable) when the store does not answer; of which limits anything was
    /// taken is not known then.
    pub async fn charge(&self, cost: u32) -> Result<(), RateLimited> {
        self.ask_each(cost, |cost| StoreAsk::Ask(Ask::Charge(cost))).await.map(drop)
    }

    /// Resets these keys to fresh state. Calls of this process that wait there fail with
    /// [`Cancelled`](Reason::Cancelled), and those of others keep their places.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](Reason::Unavailable) when the store does not answer; which of them began anew is not
    /// known then.
    pub async fn reset(&self) -> Result<(), RateLimited> {
        let _ = self.ask_each(1, |_| StoreAsk::Forget).await?;
        for part in &self.parts {
            let limit = Arc::clone(&self.shared.names[part.limit]);
            let lane = Lane { limit, key: part.key.clone() };
            events::control(Some(&lane.limit), "reset_key");
            self.shared.inquiry.known().reset(&lane);
        }
        Ok(())
    }

    /// Asks about each limit by itself, whatever it costs.
    async fn ask_each(
        &self,
        cost: u32,
        ask: impl Fn(u32) -> StoreAsk,
    ) -> Result<Verdict, RateLimited> {
        let terms = Terms { cost, patience: Patience::Now };
        let parts = self.parts(terms)?;
        let orders = parts.iter().map(|part| self.shared.ordered(part, ask(part.cost)));
        let Some(group) = Group::of(orders) else { return Ok(Verdict::of([])) };
        let inquiry = &self.shared.inquiry;
        match inquiry.ask(group, inquiry.now()).await {
            Ok(decided) => {
                let answers = parts.iter().zip(decided.take_all());
                Ok(Verdict::of(answers.map(|(part, answer)| Answer {
                    limit: part.limit,
                    cost: part.cost,
                    decision: answer.decision,
                })))
            }
            Err(error) => {
                let refusal = self.shared.refuse(Reason::Unavailable, None, &parts, terms);
                Err(refusal.with_cause(error))
            }
        }
    }

    /// What it asks for, or the error of one that names a limit of another limiter.
    fn parts(&self, terms: Terms) -> Result<Vec<Part>, RateLimited> {
        if self.is_foreign {
            return Err(Refused::unasked(Reason::UnknownLimit).tell(&[], terms));
        }
        let mut parts = self.parts.clone();
        for part in &mut parts {
            part.cost = part.cost.saturating_mul(terms.cost);
        }
        Ok(parts)
    }

    pub(super) async fn acquire_on(
        &self,
        terms: Terms,
    ) -> Result<StoredJointPermit<S>, RateLimited> {
        let parts = self.parts(terms)?;
        loop {
            let ticket = Arc::clone(&self.shared).reserve(parts.clone(), terms).await?;
            // Those of the share of this process perish where the caller is not let run for long.
            if let Ok(permit) = StoredJointPermit::new(&self.shared, &self.parts, ticket) {
                return Ok(permit);
            }
        }
    }

    /// The same in this thread, while a task waits in its place.
    pub(super) fn block_on(self, terms: Terms) -> Result<StoredJointPermit<S>, RateLimited> {
        let (permit, granted) = oneshot::channel();
        let waits = self.clone();
        self.shared.inquiry.pipeline.runtime().spawn(async move {
            let _ = permit.send(waits.acquire_on(terms).await);
        });
        granted.blocking_recv().unwrap_or_else(|_| {
            let refusal = self.shared.refuse(Reason::Unavailable, None, &self.parts, terms);
            Err(refusal.with_cause(StoreError::new("the runtime of the limiter has ended")))
        })
    }

    fn wait(&self, terms: Terms) -> StoredJointWaiting {
        let (shared, parts) = (Arc::clone(&self.shared), self.parts(terms));
        StoredJointWaiting::new(async move { shared.reserve(parts?, terms).await })
    }
}

impl<S: Store<AnyAlgorithm>> Limiter for StoredOnLimits<S> {
    type Ticket = StoredJointTicket;
    type Hold = StoredJointHold<S>;
    type Wait = StoredJointWaiting;

    fn reserve<K: Key + ?Sized>(
        &self,
        _: &K,
        terms: Terms,
    ) -> Attempt<StoredJointTicket, StoredJointWaiting> {
        Attempt::Later(self.wait(terms))
    }

    fn take<K: Key + ?Sized>(
        &self,
        _: &K,
        terms: Terms,
    ) -> Attempt<StoredJointHold<S>, StoredJointWaiting> {
        Attempt::Later(self.wait(terms))
    }

    fn keeps(&self, ticket: &StoredJointTicket) -> bool {
        self.shared.keeps(ticket)
    }

    fn commit(&self, ticket: StoredJointTicket) -> Result<StoredJointHold<S>, Perished> {
        self.commit_open(ticket)
    }

    fn give_back(&self, ticket: StoredJointTicket) {
        self.shared.give_back(ticket);
    }

    fn standing<K: Key + ?Sized>(
        &self,
        _: &K,
        decided: Result<&StoredJointHold<S>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        let known = match decided {
            Ok(hold) => hold.decisions(),
            Err(refusal) => refusal.answers().to_vec(),
        };
        self.shared.standings(&self.parts, &known).tell(&self.shared.names, decided.err(), tell);
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        self.shared.standings(&self.parts, &[]).tell(&self.shared.names, None, tell);
    }

    fn could_grant(&self, cost: u32) -> bool {
        let terms = Terms { cost, patience: Patience::Now };
        let never = |part: &Part| {
            !standing::could_grant(&self.shared.limit(part.limit).algorithm, part.cost)
        };
        // What names a limit of another limiter is refused for that.
        !self.parts(terms).is_ok_and(|parts| parts.iter().any(never))
    }
}

impl<S: Store<AnyAlgorithm>> Settles for StoredOnLimits<S> {
    type Account = StoredJointHold<S>;

    fn take_open<K: Key + ?Sized>(
        &self,
        _: &K,
        terms: Terms,
    ) -> Attempt<StoredJointHold<S>, StoredJointWaiting> {
        Attempt::Later(self.wait(terms))
    }

    fn commit_open(&self, ticket: StoredJointTicket) -> Result<StoredJointHold<S>, Perished> {
        match self.keeps(&ticket) {
            true => StoredJointHold::new(&self.shared, &self.parts, ticket),
            false => {
                self.give_back(ticket);
                Err(Perished)
            }
        }
    }

    fn standing_open<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&StoredJointHold<S>, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.standing(key, decided, tell);
    }
}

impl<S: Store<AnyAlgorithm>> Clone for StoredOnLimits<S> {
    fn clone(&self) -> Self {
        let Self { shared, parts, tag, is_foreign } = self;
        let (shared, parts, tag) = (Arc::clone(shared), parts.clone(), tag.clone());
        Self { shared, parts, tag, is_foreign: *is_foreign }
    }
}

impl<S: Store<AnyAlgorithm>> fmt::Debug for StoredOnLimits<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let costs = self.parts.iter().map(|part| (&self.shared.names[part.limit], part.cost));
        f.debug_map().entries(costs).finish()
    }
}
