//! Answering a batch where the store runs Rust.

use super::{Answer, Batch, Order, Record, StoreAsk, StoreKey, StoredLimit};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Outcome, Take},
    nanos::Nanos,
};

/// Records that can be read and written one by one with exclusive access: a locked map, a
/// transaction.
pub trait Records<A: Algorithm> {
    /// The error when one could not be read or written.
    type Error;

    /// Reads the record of a key, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Self::Error>;

    /// Writes the record of a key. It equals a new one from `new_at` on, and may be forgotten then.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn save(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
        record: Record<A::State>,
        new_at: Nanos,
    ) -> Result<(), Self::Error>;

    /// Forgets the record of a key, if there is one.
    ///
    /// # Errors
    ///
    /// When that fails.
    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Self::Error>;
}

impl<A: Algorithm> Batch<A> {
    /// Answers all orders, one group after the other, at `now`, or at the instant that the batch
    /// [sets](Self::now).
    ///
    /// A refusal writes nothing.
    ///
    /// # Errors
    ///
    /// The first failure of the records. What was written before it has to be undone.
    pub fn answer<R: Records<A>>(
        &self,
        now: Nanos,
        records: &mut R,
    ) -> Result<Vec<Answer>, R::Error> {
        let now = self.now.unwrap_or(now);
        let mut answers = Vec::with_capacity(self.orders.len());
        for group in self.groups() {
            match group {
                [order] => answers.push(order.answer(now, records)?),
                several => answers.extend(answer_together(several, now, records)?),
            }
        }
        Ok(answers)
    }
}

/// Takes all, or nothing.
fn answer_together<A: Algorithm, R: Records<A>>(
    group: &[Order<A>],
    now: Nanos,
    records: &mut R,
) -> Result<Vec<Answer>, R::Error> {
    let mut steps: Vec<Step<'_, A>> = Vec::with_capacity(group.len());
    for order in group {
        // A key that comes twice is as the order before left it.
        let step = match steps.iter().rev().find(|step| step.order.is_about_the_same(order)) {
            Some(earlier) => Step::new(order, now, Some(earlier.record.clone())),
            None => Step::new(order, now, records.load(&order.limit, &order.key)?),
        };
        steps.push(step);
    }
    let all = steps.iter().all(|step| step.answer.is_granted());
    let mut answers = Vec::with_capacity(steps.len());
    for step in steps {
        answers.push(step.answer);
        if all || !step.answer.is_granted() {
            step.keep(now, records)?;
        }
    }
    Ok(answers)
}

impl<A: Algorithm> Order<A> {
    fn answer<R: Records<A>>(&self, now: Nanos, records: &mut R) -> Result<Answer, R::Error> {
        let step = Step::new(self, now, records.load(&self.limit, &self.key)?);
        let answer = step.answer;
        step.keep(now, records)?;
        Ok(answer)
    }

    fn is_about_the_same(&self, other: &Self) -> bool {
        self.key == other.key && self.limit.name == other.limit.name
    }
}

/// An order that is answered, and a record that may have to be kept for it.
struct Step<'a, A: Algorithm> {
    order: &'a Order<A>,
    answer: Answer,
    record: Record<A::State>,
    /// Whether there was a record.
    was_there: bool,
    /// Whether it was like a new one.
    was_new: bool,
    /// Whether another limit had left it.
    was_others: bool,
    /// Whether it stays as it is, as it knows nothing of what the order is about.
    stays: bool,
}

impl<'a, A: Algorithm> Step<'a, A> {
    fn new(order: &'a Order<A>, now: Nanos, loaded: Option<Record<A::State>>) -> Self {
        let algorithm = &order.limit.algorithm;
        let was_there = loaded.is_some();
        let stays = order.ask.is_about_a_grant()
            && loaded.as_ref().is_some_and(|record| !algorithm.is_own(&record.state));
        // What equals new is new, so that it is all the same who has forgotten it and who has not.
        let kept = loaded.filter(|record| record.new_at(algorithm) > now);
        let was_new = kept.is_none();
        let was_others = kept.as_ref().is_some_and(|record| record.is_of_another(algorithm));
        let ask = match order.ask {
            // Nobody stood in line before the first call.
            StoreAsk::Ask(Ask::Take(take)) if was_new => {
                StoreAsk::Ask(Ask::Take(Take::fresh(take.cost)))
            }
            StoreAsk::Ask(Ask::Peek(take)) if was_new => {
                StoreAsk::Ask(Ask::Peek(Take::fresh(take.cost)))
            }
            ask => ask,
        };
        let mut record = kept.unwrap_or_default();
        let mut answer = record.answer(algorithm, now, ask);
        if stays && matches!(ask, StoreAsk::Ask(Ask::Renew(_))) {
            // Whoever holds them there has lost them.
            answer.decision.outcome = Outcome::InUse(None);
        }
        Self { order, answer, record, was_there, was_new, was_others, stays }
    }

    fn keep<R: Records<A>>(self, now: Nanos, records: &mut R) -> Result<(), R::Error> {
        if self.stays {
            return Ok(());
        }
        let Order { limit, key, ask, .. } = self.order;
        let new_at = self.record.new_at(&limit.algorithm);
        let is_new = new_at <= now;
        let changes = match (ask, self.answer.decision.outcome) {
            (StoreAsk::Ask(Ask::Peek(_)), _) => false,
            (_, Outcome::Granted(grant)) => grant.cost > 0 || *ask == StoreAsk::Forget,
            // A refusal changes nothing, but that the first call came, where the time of the limit
            // begins with it, and that the limit is another one since: were that forgotten, the
            // time that passes would go on to be counted by the old one.
            _ => (self.was_new || self.was_others) && !is_new,
        };
        match (changes, is_new) {
            (true, false) => records.save(limit, key, self.record, new_at),
            (true, true) if self.was_there => records.forget(limit, key),
            _ => Ok(()),
        }
    }
}
