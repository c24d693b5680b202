//! Asking for the permits of several limits, and waiting for them.

use super::{
    super::{
        super::joint::verdict::{Answer, Verdict},
        first::{Either, first_of},
        group::{Decided, Group},
        line::{AGAIN, Lane, Place},
        reins::Fate,
        resets::Watch,
        ticket::Taken,
    },
    StoredJointTicket,
    part::{Asked, Part, together},
    shared::Shared,
    ticket::From,
};
use crate::{
    algorithm::AnyAlgorithm,
    clock::before,
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    events,
    limiter::{Patience, Terms, rules::Gate},
    meters::InLine,
    nanos::Nanos,
    store::{self, Store, StoreError},
};
use std::sync::Arc;

impl<S: Store<AnyAlgorithm>> Shared<S> {
    /// Asks for all of these permits, and waits for them as long as the terms say.
    pub(super) async fn reserve(
        self: Arc<Self>,
        parts: Vec<Part>,
        terms: Terms,
    ) -> Result<StoredJointTicket, RateLimited> {
        let since = self.now();
        let before_it = self.reins.control();
        match before_it.gate() {
            Gate::Working => {}
            Gate::Open => return Ok(StoredJointTicket::free(since)),
            Gate::Closed => return Err(self.refuse(Reason::Closed, None, &parts, terms)),
        }
        let asked = self.asked(&parts);
        // There is nothing to limit, so there is nothing to ask.
        if asked.is_empty() {
            return Ok(StoredJointTicket::free(since));
        }
        if let Err(error) = self.can_take_together(&asked) {
            return Err(self.refuse(Reason::NotTogether, None, &parts, terms).with_cause(error));
        }
        let give_back = |granted: Result<_, _>| granted.map_or((), |ticket| self.give_back(ticket));
        let granted = self.granted(&parts, terms, since);
        match self.reins.undisturbed(before_it, granted, give_back).await {
            Ok(granted) => granted,
            Err(Fate::Passes) => Ok(StoredJointTicket::free(since)),
            Err(Fate::Cancelled) => Err(self.refuse(Reason::Cancelled, None, &parts, terms)),
            Err(Fate::Closed) => Err(self.refuse(Reason::Closed, None, &parts, terms)),
        }
    }

    /// Whether the store can: before anything is sent, where others would fail with it.
    fn can_take_together(&self, asked: &[Asked]) -> Result<(), StoreError> {
        match asked.len() {
            1 => Ok(()),
            _ => self.inquiry.pipeline.store().can_group(&together(asked, false)),
        }
    }

    async fn granted(
        &self,
        parts: &[Part],
        terms: Terms,
        since: Nanos,
    ) -> Result<StoredJointTicket, RateLimited> {
        let clock = self.inquiry.clock();
        let longest = terms.patience.longest().map_or(Nanos::MAX, Nanos::from);
        let end = since + longest;
        let mut wait = Wait::new(self, parts, terms);
        for asked in self.asked(parts).iter().filter(|asked| self.is_waited_for(asked, since)) {
            let by = *wait.by.get_or_insert(held_up(asked));
            if terms.patience == Patience::Now {
                return Err(wait.refuse(Reason::UsedUp, by));
            }
            wait.stand(asked, since);
        }
        if let Some(by) = wait.by {
            wait.tell(by)?;
        }
        loop {
            if let (Some(place), Some(by)) = (&wait.place, wait.by) {
                if wait.unless_reset(before(clock, end, place.turn(clock))).await?.is_none() {
                    return Err(wait.refuse(Reason::UsedUp, unknown(by)));
                }
                place.asks(self.inquiry.answer_by());
            }
            // As the limits are by now.
            let asked = &self.asked(parts)[..];
            let decided = match self.take(asked, wait.place.is_some()).await {
                Ok(decided) => decided,
                Err(error) => {
                    drop(wait);
                    return self.without_store(asked, parts, terms, since, error).await;
                }
            };
            let verdict = verdict(asked, decided.answers());
            let now = self.now();
            if let Outcome::Granted(_) = verdict.outcome() {
                let waited = wait.end(now - since);
                self.use_up_share(asked);
                let from = From::Store(taken(asked, decided), verdict.binding);
                return Ok(StoredJointTicket { from, at: now, waited });
            }
            let left = terms.left_after(now - since);
            if let Some((reason, by)) = ends(&verdict, left, now >= end) {
                let answers = decided.answers().iter().map(|answer| answer.decision);
                return Err(wait.refuse(reason, by).with_answers(answers.collect()));
            }
            wait.stand_where_held_up(asked, decided.answers(), now);
            wait.tell(verdict.binding)?;
            let in_use = match verdict.outcome() {
                Outcome::InUse(hint) => hint.unwrap_or(AGAIN).min(AGAIN),
                _ => Nanos::ZERO,
            };
            let again = (now + verdict.certain_wait().max(in_use)).min(end);
            if let Some(place) = &wait.place {
                place.asks_again(again);
                wait.unless_reset(before(clock, again, place.called.notified())).await?;
            }
        }
    }

    /// Whether others stand in line for what it asks for.
    fn is_waited_for(&self, asked: &Asked, now: Nanos) -> bool {
        let lane = || Lane { limit: Arc::clone(&asked.limit.name), key: asked.part.key.clone() };
        self.inquiry.known().lines.has(lane, now)
    }

    /// Asks the store.
    async fn take(
        &self,
        asked: &[Asked],
        queued: bool,
    ) -> Result<Decided<AnyAlgorithm, S>, StoreError> {
        match Group::of(together(asked, queued)) {
            Some(group) => self.inquiry.ask(group, self.inquiry.now()).await,
            None => Err(StoreError::new("nothing was asked")),
        }
    }
}

/// A call that is not let go at once: where it stands in line.
struct Wait<'a, S: Store<AnyAlgorithm>> {
    shared: &'a Shared<S>,
    parts: &'a [Part],
    terms: Terms,
    place: Option<Place<'a>>,
    /// It is known to wait: counted in once for each of its limits.
    waiting: Option<(Vec<InLine>, Watch<'a>)>,
    /// What holds it up.
    by: Option<Answer>,
}

impl<'a, S: Store<AnyAlgorithm>> Wait<'a, S> {
    fn new(shared: &'a Shared<S>, parts: &'a [Part], terms: Terms) -> Self {
        Self { shared, parts, terms, place: None, waiting: None, by: None }
    }

    /// Gets in one more line.
    fn stand(&mut self, asked: &Asked, now: Nanos) {
        let lane = self.lane(&asked.part);
        match &mut self.place {
            Some(place) => place.join(lane, now),
            None => self.place = Some(self.shared.inquiry.known().lines.join(lane, now)),
        }
    }

    /// Gets in line only where it is held up, so that whoever waits for something else is not.
    fn stand_where_held_up(&mut self, asked: &[Asked], answers: &[store::Answer], now: Nanos) {
        for (asked, answer) in asked.iter().zip(answers) {
            if !answer.is_granted() {
                self.stand(asked, now);
            }
        }
    }

    /// Lets everybody know that it waits, the first time, and for what.
    ///
    /// # Errors
    ///
    /// When as many wait already as may, at one of the keys.
    fn tell(&mut self, by: Answer) -> Result<(), RateLimited> {
        self.by = Some(by);
        if self.waiting.is_none() {
            let lanes = self.parts.iter().map(|part| self.lane(part)).collect();
            let watch = self.shared.inquiry.known().resets.watch(lanes);
            let watch = watch.ok_or_else(|| self.refuse(Reason::QueueFull, by))?;
            let meters = self.shared.meters_of(self.parts);
            self.waiting = Some((meters.map(|meters| meters.line().joined()).collect(), watch));
            events::waits(self.shared.names.get(by.limit).map(|name| &**name), by.cost);
        }
        Ok(())
    }

    /// What the future comes to.
    ///
    /// # Errors
    ///
    /// When one of the keys begins anew meanwhile.
    async fn unless_reset<F: Future>(&self, future: F) -> Result<F::Output, RateLimited> {
        let Some((_, watch)) = &self.waiting else { return Ok(future.await) };
        match first_of(future, watch.reset()).await {
            Either::First(output) => Ok(output),
            Either::Second(()) => {
                Err(self.shared.refuse(Reason::Cancelled, None, self.parts, self.terms))
            }
        }
    }

    fn refuse(&self, reason: Reason, by: Answer) -> RateLimited {
        self.shared.refuse(reason, Some(by), self.parts, self.terms)
    }

    /// It is let go. How long it stood in line, if it did.
    fn end(&mut self, waited: Nanos) -> Nanos {
        self.place = None;
        let (Some(by), Some(_)) = (self.by, self.waiting.take()) else { return Nanos::ZERO };
        self.shared.meters_of(self.parts).for_each(|meters| meters.waited(waited));
        events::let_go(self.shared.names.get(by.limit).map(|name| &**name), by.cost, waited);
        waited
    }

    fn lane(&self, part: &Part) -> Lane {
        Lane { limit: Arc::clone(&self.shared.names[part.limit]), key: part.key.clone() }
    }
}

/// Why a call that was refused so does not go on to wait, if it does not, and by which limit.
fn ends(verdict: &Verdict, left: Terms, is_over: bool) -> Option<(Reason, Answer)> {
    if verdict.is_for_good() {
        return Some((verdict.reason(), verdict.binding));
    }
    let over = is_over.then_some(verdict.binding);
    verdict.refuses(left).or(over).map(|by| (Reason::UsedUp, by))
}

/// What becomes of a call that was answered this.
fn verdict(asked: &[Asked], answers: &[store::Answer]) -> Verdict {
    Verdict::of(asked.iter().zip(answers).map(|(asked, answer)| Answer {
        limit: asked.part.limit,
        cost: asked.part.cost,
        decision: answer.decision,
    }))
}

/// What a call is told that stands behind others at this limit: nobody knows for how long.
fn held_up(asked: &Asked) -> Answer {
    let decision = Decision {
        outcome: Outcome::InUse(None),
        limit: 0,
        remaining: 0,
        full_after: Nanos::ZERO,
        rate: 0,
    };
    Answer { limit: asked.part.limit, cost: asked.part.cost, decision }
}

/// The same where nobody knows any more how long it is.
fn unknown(by: Answer) -> Answer {
    Answer { decision: Decision { outcome: Outcome::InUse(None), ..by.decision }, ..by }
}

fn taken<S: Store<AnyAlgorithm>>(
    asked: &[Asked],
    decided: Decided<AnyAlgorithm, S>,
) -> Vec<Taken<AnyAlgorithm>> {
    let taken = |(asked, answer): (&Asked, _)| Taken {
        limit: Arc::clone(&asked.limit),
        key: asked.part.key.clone(),
        answer,
    };
    asked.iter().zip(decided.take_all()).map(taken).collect()
}
