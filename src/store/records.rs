//! Answering a batch where the store runs Rust.

use super::{Answer, Batch, Order, Record, StoreAsk, StoreKey, StoredLimit};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Outcome},
    nanos::Nanos,
};

/// Records that can be read and written one by one, and that nobody else changes meanwhile: a locked
/// map, a transaction.
pub trait Records<A: Algorithm> {
    /// Why one could not be read or written.
    type Error;

    /// The record of a key, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Self::Error>;

    /// Keeps the record of a key. It equals a new one from `new_at` on, and may be forgotten then.
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
    /// Answers all orders, one group after the other, at `now`, or at the instant that the batch [sets](Self::now).
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
    let peek = |order: &Order<A>| match order.ask {
        StoreAsk::Ask(Ask::Take(take)) => {
            let peek = StoreAsk::Ask(Ask::Peek(take));
            Order { ask: peek, ..order.clone() }.answer(now, records)
        }
        _ => order.answer(now, records),
    };
    let foreseen: Vec<Answer> = group.iter().map(peek).collect::<Result<_, _>>()?;
    match foreseen.iter().all(Answer::is_granted) {
        true => group.iter().map(|order| order.answer(now, records)).collect(),
        false => Ok(foreseen),
    }
}

impl<A: Algorithm> Order<A> {
    fn answer<R: Records<A>>(&self, now: Nanos, records: &mut R) -> Result<Answer, R::Error> {
        let algorithm = &self.limit.algorithm;
        let mut record = records.load(&self.limit, &self.key)?.unwrap_or_default();
        let before = record.new_at(algorithm);
        let answer = record.answer(algorithm, now, self.ask);
        let new_at = record.new_at(algorithm);
        match (self.ask, answer.decision.outcome) {
            (StoreAsk::Forget, _) => records.forget(&self.limit, &self.key)?,
            (StoreAsk::Ask(Ask::Peek(_)), _) => {}
            // Remembers that the first call came, where the time of the limit begins with it.
            (_, Outcome::Granted(_)) => records.save(&self.limit, &self.key, record, new_at)?,
            _ if new_at != before => records.save(&self.limit, &self.key, record, new_at)?,
            _ => {}
        }
        Ok(answer)
    }
}
