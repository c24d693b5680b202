//! Stores that are wrong, each in a way of its own.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, Ask, Clock, Invalid, LeakyBucket, Nanos, Outcome, Rate, Take,
    algorithm::Measure,
    store::{
        Answer, Batch, Order, Record, Records, Store, StoreAsk, StoreError, StoreKey, StoredLimit,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Fails,
    LosesAnswers,
    TurnsAnswersRound,
    /// Clones share nothing.
    KeepsToItself,
    /// Decides the last order first.
    TurnsOrdersRound,
    CutsKeys(usize),
    CutsKeysAtNul,
    FoldsKeys,
    ReadsKeysAsText,
    ForgetsLimits,
    /// The name of the limit and the key are one text.
    GluesNames,
    TakesGroupsApart,
    KeepsFew(usize),
    /// A microsecond before the record equals new.
    ForgetsEarly,
    /// Nobody knows of which limit a record is.
    LosesMeasures,
    ReadsOtherClock,
    /// Grants reservations now or never.
    ReservesNothing,
    LosesReturns,
    RefillsFaster,
    /// Lets others run between the orders of a group.
    Yields,
    /// Lets others run between looking and taking.
    LooksAndThenTakes,
    AsksNobody,
}

type Kept = BTreeMap<Vec<u8>, (Record<Nanos>, Nanos)>;

pub(super) struct Broken {
    fault: Fault,
    kept: Arc<Mutex<Kept>>,
    clock: Clock,
}

impl Broken {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, kept: Arc::default(), clock: Clock::monotonic() }
    }

    fn answer(&self, batch: &Batch<LeakyBucket>, now: Nanos) -> Vec<Answer> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let early = if self.fault == Fault::ForgetsEarly { 1_000 } else { 0 };
        kept.retain(|_, (_, new_at)| new_at.get() > now.get() + early);
        let mut records = Shelf { fault: self.fault, kept: &mut kept };
        let now = batch.now().unwrap_or(now);
        batch.answer(now, &mut records).unwrap()
    }

    /// The order as a store hears it that is deaf to some.
    fn heard(&self, order: &Order<LeakyBucket>) -> Order<LeakyBucket> {
        let ask = match (self.fault, order.ask) {
            (Fault::ReservesNothing, StoreAsk::Reserve { cost, .. }) => {
                StoreAsk::Ask(Ask::Take(Take::fresh(cost)))
            }
            (Fault::LosesReturns, StoreAsk::Return(_)) => StoreAsk::Ask(Ask::Peek(Take::fresh(0))),
            (_, ask) => ask,
        };
        Order { ask, ..order.clone() }
    }

    fn alone(&self, order: &Order<LeakyBucket>, now: Nanos) -> Answer {
        let alone = Order { is_with_previous: false, ..order.clone() };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = Shelf { fault: self.fault, kept: &mut kept };
        Batch::new(vec![alone]).answer(now, &mut records).unwrap()[0]
    }
}

impl Clone for Broken {
    fn clone(&self) -> Self {
        let kept = match self.fault {
            Fault::KeepsToItself => Arc::default(),
            _ => Arc::clone(&self.kept),
        };
        Self { fault: self.fault, kept, clock: self.clock.clone() }
    }
}

/// Comes back after everybody else.
async fn let_others_run() {
    let mut yielded = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        match std::mem::replace(&mut yielded, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

impl Store<LeakyBucket> for Broken {
    async fn decide(&self, batch: Batch<LeakyBucket>) -> Result<Vec<Answer>, StoreError> {
        let now = batch.now().unwrap_or_else(|| self.clock.now());
        let orders = batch.orders();
        Ok(match self.fault {
            Fault::Fails => return Err(StoreError::new("out of order")),
            Fault::LosesAnswers => {
                let mut answers = self.answer(&batch, now);
                answers.pop();
                answers
            }
            Fault::TurnsAnswersRound => {
                let mut answers = self.answer(&batch, now);
                answers.reverse();
                answers
            }
            Fault::TurnsOrdersRound => {
                let answers = orders.iter().rev().map(|order| self.alone(order, now));
                let mut answers: Vec<_> = answers.collect();
                answers.reverse();
                answers
            }
            Fault::TakesGroupsApart => orders.iter().map(|order| self.alone(order, now)).collect(),
            Fault::ReadsOtherClock => {
                orders.iter().map(|order| self.alone(order, self.clock.now())).collect()
            }
            Fault::ReservesNothing | Fault::LosesReturns => {
                let heard = orders.iter().map(|order| self.heard(order)).collect();
                let mut answers = self.answer(&Batch::new(heard), now);
                for (order, answer) in orders.iter().zip(&mut answers) {
                    if let StoreAsk::Return(grant) = order.ask {
                        answer.decision.outcome = Outcome::Granted(grant);
                    }
                }
                answers
            }
            Fault::Yields => {
                // Looks first, so that it takes all or nothing when nobody drops it.
                let mut copy = self.kept.lock().unwrap().clone();
                let mut records = Shelf { fault: self.fault, kept: &mut copy };
                let answers = batch.answer(now, &mut records).unwrap();
                let mut rest = orders;
                while let Some((first, others)) = rest.split_first() {
                    let with = others.iter().take_while(|order| order.is_with_previous).count();
                    let (group, after) = (&rest[..=with], &rest[with + 1..]);
                    let from = orders.len() - rest.len();
                    let granted = answers[from..=from + with].iter().all(Answer::is_granted);
                    if with == 0 || granted {
                        self.alone(first, now);
                        for order in &group[1..] {
                            let_others_run().await;
                            self.alone(order, now);
                        }
                    }
                    rest = after;
                }
                answers
            }
            Fault::LooksAndThenTakes => {
                let mut copy = self.kept.lock().unwrap().clone();
                let mut records = Shelf { fault: self.fault, kept: &mut copy };
                let answers = batch.answer(now, &mut records).unwrap();
                if batch.now().is_none() {
                    let_others_run().await;
                }
                *self.kept.lock().unwrap() = copy;
                answers
            }
            _ => self.answer(&batch, now),
        })
    }

    fn keep_to(&self, algorithm: LeakyBucket) -> Result<LeakyBucket, Invalid> {
        match self.fault {
            Fault::RefillsFaster => {
                LeakyBucket::new(Rate::new(1, Duration::from_secs(1))?).capacity(2)
            }
            _ => Ok(algorithm),
        }
    }

    fn batches_at_once(&self) -> usize {
        usize::from(self.fault != Fault::AsksNobody)
    }
}

struct Shelf<'a> {
    fault: Fault,
    kept: &'a mut Kept,
}

impl Shelf<'_> {
    fn place(&self, limit: &StoredLimit<LeakyBucket>, key: &StoreKey) -> Vec<u8> {
        let name = limit.name.as_bytes();
        let key = match self.fault {
            Fault::CutsKeys(length) => &key.bytes()[..key.bytes().len().min(length)],
            Fault::CutsKeysAtNul => key.bytes().split(|byte| *byte == 0).next().unwrap(),
            _ => key.bytes(),
        };
        let key = match self.fault {
            Fault::FoldsKeys => key.to_ascii_lowercase(),
            Fault::ReadsKeysAsText => String::from_utf8_lossy(key).into_owned().into_bytes(),
            _ => key.to_vec(),
        };
        match self.fault {
            Fault::ForgetsLimits => key,
            Fault::GluesNames => [name, &key].concat(),
            _ => [&name.len().to_le_bytes()[..], name, &key].concat(),
        }
    }
}

impl Records<LeakyBucket> for Shelf<'_> {
    type Error = std::convert::Infallible;

    fn load(
        &mut self,
        limit: &StoredLimit<LeakyBucket>,
        key: &StoreKey,
    ) -> Result<Option<Record<<LeakyBucket as Algorithm>::State>>, Self::Error> {
        Ok(self.kept.get(&self.place(limit, key)).map(|(record, _)| record.clone()))
    }

    fn save(
        &mut self,
        limit: &StoredLimit<LeakyBucket>,
        key: &StoreKey,
        mut record: Record<Nanos>,
        new_at: Nanos,
    ) -> Result<(), Self::Error> {
        if self.fault == Fault::LosesMeasures {
            record.measure = Measure::default();
        }
        if let Fault::KeepsFew(few) = self.fault
            && self.kept.len() >= few
        {
            self.kept.clear();
        }
        self.kept.insert(self.place(limit, key), (record, new_at));
        Ok(())
    }

    fn forget(
        &mut self,
        limit: &StoredLimit<LeakyBucket>,
        key: &StoreKey,
    ) -> Result<(), Self::Error> {
        self.kept.remove(&self.place(limit, key));
        Ok(())
    }
}
