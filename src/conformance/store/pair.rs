//! A store and the store in memory, asked the same.

use super::{Broken, Checked, Point, Violation};
use crate::{
    algorithm::Algorithm,
    decision::{Decision, Grant, Outcome},
    nanos::Nanos,
    store::{
        Answer, Batch, MemoryStore, Order, Store, StoreAsk, StoreError, StoreKey, StoredLimit,
    },
};
use std::{error::Error, sync::Arc};

/// What the coarsest store keeps.
pub(super) const MICROSECOND: u64 = 1_000;

/// 300 years: what takes longer never comes, in a store that counts otherwise, too.
const NEVER: u64 = 300 * 365 * 86_400 * 1_000_000_000;

/// An order. Permits that are spoken of are those that each of the two stores granted.
pub(super) struct Asked<A> {
    pub(super) order: Order<A>,
    /// What the store in memory is asked.
    pub(super) in_memory: StoreAsk,
}

impl<A> Asked<A> {
    pub(super) fn new(limit: &Arc<StoredLimit<A>>, key: &StoreKey, ask: StoreAsk) -> Self {
        let (limit, key) = (Arc::clone(limit), key.clone());
        let order = Order { limit, key, ask, is_with_previous: false };
        Self { order, in_memory: ask }
    }

    pub(super) fn with_previous(mut self) -> Self {
        self.order.is_with_previous = true;
        self
    }
}

/// Both answers to an order.
pub(super) struct Both {
    pub(super) theirs: Answer,
    pub(super) ours: Answer,
}

pub(super) struct Pair<A: Algorithm, S> {
    pub(super) store: S,
    pub(super) memory: MemoryStore<A>,
    /// What they were asked.
    history: Vec<String>,
}

impl<A: Algorithm, S: Store<A>> Pair<A, S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, memory: MemoryStore::default(), history: Vec::new() }
    }

    pub(super) fn violation(&mut self, broken: Broken, seed: Option<u64>) -> Violation {
        Violation::new(broken, std::mem::take(&mut self.history), seed)
    }

    /// Asks both at `now`, and says that this point is broken when they do not agree.
    pub(super) async fn ask(
        &mut self,
        point: Point,
        now: u64,
        asked: Vec<Asked<A>>,
    ) -> Result<Vec<Both>, Broken> {
        for Asked { order, .. } in &asked {
            self.history.push(line(now, order));
        }
        let in_memory = |asked: &Asked<A>| Order { ask: asked.in_memory, ..asked.order.clone() };
        let ours = self.memory.decide(at(now, asked.iter().map(in_memory).collect())).await;
        let ours = ours.map_err(failed)?;
        let orders = asked.into_iter().map(|asked| asked.order).collect();
        let theirs = self.store.decide(at(now, orders)).await.map_err(failed)?;
        if theirs.len() != ours.len() {
            let found = format!("{} answers to {} orders", theirs.len(), ours.len());
            return Err(Broken::new(Point::Answers, found));
        }
        for (theirs, ours) in theirs.iter().zip(&ours) {
            if rounded(theirs) != rounded(ours) {
                return Err(Broken::new(point, format!("{theirs:?}, and not {ours:?}")));
            }
        }
        let both = |(theirs, ours)| Both { theirs, ours };
        Ok(theirs.into_iter().zip(ours).map(both).collect())
    }

    /// The same, one batch for each order.
    pub(super) async fn ask_each(
        &mut self,
        point: Point,
        now: u64,
        asked: Vec<Asked<A>>,
    ) -> Checked {
        for asked in asked {
            self.ask(point, now, vec![asked]).await?;
        }
        Ok(())
    }

    /// Whether their store says that it can decide these as one group.
    pub(super) fn can_group(&self, asked: &[Asked<A>]) -> Result<(), StoreError> {
        let group: Vec<_> = asked.iter().map(|asked| asked.order.clone()).collect();
        self.store.can_group(&group)
    }

    /// Makes one group of these, where their store can decide it.
    pub(super) fn group(&self, asked: &mut [Asked<A>]) {
        let set = |asked: &mut [Asked<A>], is_one: bool| {
            let others = asked.iter_mut().skip(1);
            others.for_each(|asked| asked.order.is_with_previous = is_one);
        };
        set(asked, true);
        if self.can_group(asked).is_err() {
            set(asked, false);
        }
    }

    /// Whether their store decides these, which it said that it cannot.
    pub(super) async fn has_decided(&mut self, now: u64, asked: Vec<Asked<A>>) -> bool {
        let orders: Vec<_> = asked.into_iter().map(|asked| asked.order).collect();
        self.history.extend(orders.iter().map(|order| line(now, order)));
        self.store.decide(at(now, orders)).await.is_ok()
    }
}

pub(super) fn at<A>(now: u64, orders: Vec<Order<A>>) -> Batch<A> {
    Batch { now: Some(Nanos::new(now)), ..Batch::new(orders) }
}

/// A store that fails is not looked at any further.
pub(super) fn failed(error: impl Error) -> Broken {
    let mut found = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        found = format!("{found}: {error}");
        cause = error.source();
    }
    Broken::new(Point::Answered, found)
}

/// What can be compared with a store that counts microseconds.
pub(super) fn rounded(answer: &Answer) -> Answer {
    let Answer { decision, wait } = *answer;
    let outcome = match decision.outcome {
        Outcome::Granted(Grant { cost, at }) => Outcome::Granted(Grant { cost, at: up(at) }),
        Outcome::Later(wait) => Outcome::Later(up(wait)),
        Outcome::InUse(wait) => Outcome::InUse(wait.map(up)),
        others => others,
    };
    let full_after = up(decision.full_after);
    Answer { decision: Decision { outcome, full_after, ..decision }, wait: up(wait) }
}

fn up(span: Nanos) -> Nanos {
    Nanos::new(span.get().min(NEVER).div_ceil(MICROSECOND) * MICROSECOND)
}

fn line<A>(now: u64, order: &Order<A>) -> String {
    let Order { limit, key, ask, is_with_previous } = order;
    let (more, few) = match key.bytes() {
        [few @ .., _] if few.len() > 40 => ("...", &few[..40]),
        all => ("", all),
    };
    let with = if *is_with_previous { " and" } else { "" };
    let (now, few) = (Nanos::new(now), few.escape_ascii());
    format!("at {now:?}{with}: {}, key {few}{more}: {ask:?}", limit.name)
}
