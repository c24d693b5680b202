//! Asking for the permits of several limits, and waiting for them.

use super::{
    super::{
        super::joint::verdict::{Answer, Verdict},
        group::{Decided, Group},
        line::{AGAIN, Lane, Place},
        reins::Fate,
        ticket::Taken,
        time::before,
    },
    StoredJointTicket,
    part::{Asked, Part, together},
    shared::Shared,
    ticket::From,
};
use crate::{
    algorithm::AnyAlgorithm,
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    events,
    limiter::{Patience, Terms, rules::Gate},
    meters::InLine,
    nanos::Nanos,
    store::{Store, StoreError},
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
        match before_it.gate {
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
        let mut wait = Wait { shared: self, place: None, in_lines: Vec::new(), by: None };
        for asked in self.asked(parts).iter().filter(|asked| self.is_waited_for(asked, since)) {
            let by = *wait.by.get_or_insert(held_up(asked));
            if terms.patience == Patience::Now {
                return Err(self.refuse(Reason::UsedUp, Some(by), parts, terms));
            }
            wait.stand(asked, since);
        }
        if let Some(by) = wait.by {
            wait.tell(parts, by);
        }
        loop {
            if let (Some(place), Some(by)) = (&wait.place, wait.by) {
                if before(clock, end, place.turn(clock)).await.is_none() {
                    let by = unknown(by);
                    return Err(self.refuse(Reason::UsedUp, Some(by), parts, terms));
                }
                place.asks(self.inquiry.answer_by());
            }
            // As the limits are by now.
            let asked = &self.asked(parts)[..];
            let decided = match self.take(asked, wait.place.is_some()).await {
                Ok(decided) => decided,
                Err(error) => {
                    drop(wait);
                    return self.without_store(asked, parts, terms, error).await;
                }
            };
            let answers = asked.iter().zip(&decided.answers);
            let verdict = Verdict::of(answers.map(|(asked, answer)| Answer {
                limit: asked.part.limit,
                cost: asked.part.cost,
                decision: answer.decision,
            }));
            let now = self.now();
            if let Outcome::Granted(_) = verdict.outcome() {
                let waited = wait.end(parts, now - since);
                self.use_up_share(asked);
                let from = From::Store(taken(asked, decided), verdict.binding);
                return Ok(StoredJointTicket { from, at: now, waited });
            }
            if verdict.is_for_good() {
                let by = verdict.binding;
                return Err(self.refuse(verdict.reason(), Some(by), parts, terms));
            }
            let left = Terms { patience: terms.patience.left_after(now - since), ..terms };
            if let Some(by) = verdict.refuses(left) {
                return Err(self.refuse(Reason::UsedUp, Some(by), parts, terms));
            }
            if now >= end {
                return Err(self.refuse(Reason::UsedUp, Some(verdict.binding), parts, terms));
            }
            // Only where it is held up, so that whoever waits for something else is not.
            for (asked, answer) in asked.iter().zip(&decided.answers) {
                if !answer.is_granted() {
                    wait.stand(asked, now);
                }
            }
            wait.by = Some(verdict.binding);
            wait.tell(parts, verdict.binding);
            let in_use = match verdict.outcome() {
                Outcome::InUse(hint) => hint.unwrap_or(AGAIN).min(AGAIN),
                _ => Nanos::ZERO,
            };
            let again = (now + verdict.certain_wait().max(in_use)).min(end);
            if let Some(place) = &wait.place {
                place.asks_again(again);
                before(clock, again, place.called.notified()).await;
            }
        }
    }

    /// Whether others stand in line for what it asks for.
    fn is_waited_for(&self, asked: &Asked, now: Nanos) -> bool {
        self.inquiry.known().lines.has(&asked.limit.name, &asked.part.key, now)
    }

    /// Asks the store.
    async fn take(
        &self,
        asked: &[Asked],
        queued: bool,
    ) -> Result<Decided<AnyAlgorithm, S>, StoreError> {
        match Group::of(together(asked, queued)) {
            Some(group) => self.inquiry.ask(group).await,
            None => Err(StoreError::new("nothing was asked")),
        }
    }
}

/// A call that is not let go at once: where it stands in line.
struct Wait<'a, S: Store<AnyAlgorithm>> {
    shared: &'a Shared<S>,
    place: Option<Place<'a>>,
    /// Counted in once, for each of its limits.
    in_lines: Vec<InLine>,
    /// What holds it up.
    by: Option<Answer>,
}

impl<S: Store<AnyAlgorithm>> Wait<'_, S> {
    /// Gets in one more line.
    fn stand(&mut self, asked: &Asked, now: Nanos) {
        let lane = Lane { limit: Arc::clone(&asked.limit.name), key: asked.part.key.clone() };
        match &mut self.place {
            Some(place) => place.join(lane, now),
            None => self.place = Some(self.shared.inquiry.known().lines.join(lane, now)),
        }
    }

    /// Lets everybody know that it waits, the first time.
    fn tell(&mut self, parts: &[Part], by: Answer) {
        if self.in_lines.is_empty() {
            let meters = self.shared.meters_of(parts);
            self.in_lines = meters.map(|meters| meters.line().joined()).collect();
            events::waits(self.shared.names.get(by.limit).map(|name| &**name), by.cost);
        }
    }

    /// It is let go. How long it stood in line, if it did.
    fn end(&mut self, parts: &[Part], waited: Nanos) -> Nanos {
        self.place = None;
        let Some(by) = self.by else { return Nanos::ZERO };
        self.in_lines.clear();
        self.shared.meters_of(parts).for_each(|meters| meters.waited(waited));
        events::let_go(self.shared.names.get(by.limit).map(|name| &**name), by.cost, waited);
        waited
    }
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
