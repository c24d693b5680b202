//! A call, as the limits it is subject to.

use super::{
    JointAcquire, JointHold, JointPermit, JointReservation, JointWaiting,
    acquire::JointGranted,
    limit::{Birth, LaneId, Part, limits_of},
    refused::Refused,
    shared::Shared,
    used::Used,
    verdict::Answer,
};
use crate::{
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    key::Key,
    limiter::{
        Attempt, LimitId, Limiter, Patience, Perished, Settles, Standing, Terms, line::Place,
    },
    store::table::Fingerprint,
};
use std::{fmt, sync::Arc};

/// The limits of a [`JointLimiter`](super::JointLimiter) that a call is subject to, with a key and
/// a cost for each; made by [`JointLimiter::on`](super::JointLimiter::on).
///
/// It can be asked over and over, and it is a [`Limiter`]: a layer that waits in `poll_ready` can
/// be built on it. There its keys are fixed, the key it is asked with is ignored, and a cost
/// other than 1 multiplies its own.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_ratelimit::{BurstCompensating, JointLimiter, Rate, RateLimitLayer, SlidingWindow};
///
/// // Evenly paced, and never more than a thousand a day.
/// let mut limits = JointLimiter::builder();
/// let paced = limits.limit("paced", BurstCompensating::new(Rate::per_second(5)?))?;
/// let daily = limits.limit("daily", SlidingWindow::new(Rate::per_day(1000)?))?;
/// let limiter = limits.build();
/// let layer = RateLimitLayer::new(limiter.on(paced, &()).on(daily, &()));
/// # let _ = ServiceBuilder::new().layer(layer);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is limited before it is asked"]
pub struct OnLimits {
    shared: Arc<Shared>,
    pub(super) parts: Vec<Part>,
    /// Whether it names a limit of another limiter.
    is_foreign: bool,
}

/// The state of several limits, in the name of the binding one.
#[derive(Clone, Debug)]
pub struct Binding {
    pub(in crate::limiter) limit: Option<Arc<str>>,
    pub(in crate::limiter) decision: Decision,
}

/// Permits of several limits that were granted and not used yet.
#[derive(Debug)]
#[must_use = "permits are committed or given back"]
pub struct JointTicket(pub(super) Place);

impl OnLimits {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, parts: Vec::new(), is_foreign: false }
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
        let key = Fingerprint::of(&self.shared.seed, key);
        let lane = LaneId { limit: limit.index, key };
        match self.parts.iter_mut().find(|part| part.lane == lane) {
            Some(part) => part.cost = part.cost.saturating_add(cost),
            None => self.parts.push(Part { lane, cost, birth: Birth::default() }),
        }
        self
    }

    /// Takes the permits of all limits now, or none.
    ///
    /// It never waits, and never fails because another caller is asking at the same time.
    ///
    /// # Errors
    ///
    /// [`RateLimited`], in the name of the binding limit, when one of them refuses or others stand
    /// in line for one of the keys; [`retry_after`](RateLimited::retry_after) is then when this
    /// call's turn would come.
    pub fn try_acquire(&self) -> Result<JointPermit, RateLimited> {
        match JointPermit::ask(self, Terms { cost: 1, patience: Patience::Now }) {
            Attempt::Now(result) => result,
            Attempt::Later(_) => unreachable!("a call without patience is answered at once"),
        }
    }

    /// Takes the permits of all limits, and waits for them in line; [`JointAcquire`] says how to
    /// wait less.
    ///
    /// The permits count as used the moment the future is ready. Those that a call holds until it
    /// ends ([`Concurrency`](crate::Concurrency), [`Serialized`](crate::Serialized)) have to be
    /// bound until then, as in `let _permit = call.acquire().await?`.
    pub fn acquire(&self) -> JointAcquire {
        JointAcquire::new(self.clone())
    }

    /// Waits in line for permits that are used later, or go back: see [`JointReservation`].
    pub fn reserve(&self) -> JointAcquire<JointReservation> {
        JointAcquire::new(self.clone())
    }

    /// Returns what would happen if it asked now, and takes nothing.
    #[must_use]
    pub fn peek(&self) -> Binding {
        self.binding(&self.shared.peek(self.parts.clone()))
    }

    pub(super) fn binding(&self, answer: &Answer) -> Binding {
        binding(&self.shared, answer)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What it asks for, or the error of one that names a limit of another limiter.
    pub(super) fn parts(&self, terms: Terms) -> Result<Vec<Part>, RateLimited> {
        if self.is_foreign {
            return Err(Refused::unasked(Reason::UnknownLimit).tell(&[], terms));
        }
        let mut parts = self.parts.clone();
        for part in &mut parts {
            part.cost = part.cost.saturating_mul(terms.cost);
        }
        Ok(parts)
    }

    pub(super) fn reserve_on(&self, terms: Terms) -> Attempt<JointTicket, JointWaiting> {
        match self.parts(terms) {
            Ok(parts) => self.shared.reserve(parts, terms).map(JointTicket),
            Err(refusal) => Attempt::Now(Err(refusal)),
        }
    }

    pub(super) fn take_on(&self, terms: Terms) -> Attempt<Used, JointWaiting> {
        match self.parts(terms) {
            Ok(parts) => self.shared.take(parts, terms),
            Err(refusal) => Attempt::Now(Err(refusal)),
        }
    }
}

/// An answer with the name of its limit.
pub(super) fn binding(shared: &Shared, answer: &Answer) -> Binding {
    let limit = shared.names.get(answer.limit).cloned();
    Binding { limit, decision: answer.decision }
}

impl Limiter for OnLimits {
    type Ticket = JointTicket;
    type Hold = JointHold;
    type Wait = JointWaiting;

    fn reserve<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<JointTicket, JointWaiting> {
        self.reserve_on(terms)
    }

    fn take<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<JointHold, JointWaiting> {
        self.take_on(terms).map(|used| JointHold::new(&self.shared, used))
    }

    fn keeps(&self, ticket: &JointTicket) -> bool {
        self.shared.keeps(ticket.0)
    }

    fn commit(&self, ticket: JointTicket) -> Result<JointHold, Perished> {
        Ok(JointHold::new(&self.shared, self.shared.commit(ticket.0)?))
    }

    fn give_back(&self, ticket: JointTicket) {
        self.shared.leave(ticket.0);
    }

    fn standing<K: Key + ?Sized>(
        &self,
        _: &K,
        decided: Result<&JointHold, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        let parts = self.parts.clone();
        let standings = self.shared.with(|board, now| board.standings(now, parts));
        standings.tell(&self.shared.names, decided.err(), tell);
    }

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        let standings = self.shared.with(|board, _| board.policies(limits_of(&self.parts)));
        standings.tell(&self.shared.names, None, tell);
    }

    fn could_grant(&self, cost: u32) -> bool {
        let terms = Terms { cost, patience: Patience::Now };
        let never = |parts| self.shared.peek(parts).decision.outcome == Outcome::Never;
        // What names a limit of another limiter is refused for that.
        !self.parts(terms).is_ok_and(never)
    }
}

impl Settles for OnLimits {
    type Account = JointHold;

    fn take_open<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<JointHold, JointWaiting> {
        self.take_on(terms).map(|used| JointHold::open(&self.shared, used))
    }

    fn commit_open(&self, ticket: JointTicket) -> Result<JointHold, Perished> {
        Ok(JointHold::open(&self.shared, self.shared.commit(ticket.0)?))
    }

    fn standing_open<K: Key + ?Sized>(
        &self,
        key: &K,
        decided: Result<&JointHold, &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        self.standing(key, decided, tell);
    }
}

impl Binding {
    /// Returns the name of the limit that refuses, or that has the least left; `None` for a call
    /// that is subject to none.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Returns how it stands.
    pub fn decision(&self) -> Decision {
        self.decision
    }
}

impl fmt::Debug for OnLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let costs = self.parts.iter().map(|part| (&self.shared.names[part.lane.limit], part.cost));
        f.debug_map().entries(costs).finish()
    }
}
