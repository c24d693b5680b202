//! Orders that are decided together, and what became of them.

use super::pipeline::Pipeline;
use crate::{
    algorithm::Algorithm,
    decision::Ask,
    store::{Answer, Order, Store, StoreAsk},
};
use std::{fmt, mem, sync::Arc};

/// The orders of one call: most have one.
pub(super) struct Group<A> {
    pub(super) first: Order<A>,
    pub(super) others: Vec<Order<A>>,
}

impl<A> Group<A> {
    pub(super) fn one(order: Order<A>) -> Self {
        Self { first: order, others: Vec::new() }
    }

    /// All of these; nothing where there are none. Whether they are taken together each of them
    /// says.
    pub(super) fn of(orders: impl IntoIterator<Item = Order<A>>) -> Option<Self> {
        let mut orders = orders.into_iter();
        let first = orders.next()?;
        Some(Self { first, others: orders.collect() })
    }

    pub(super) fn orders(&self) -> impl Iterator<Item = &Order<A>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// A group and its answers. Permits that nobody takes out of it go back when it is dropped,
/// wherever that is: on the way to a caller who has gone, or in its hands.
pub(super) struct Decided<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    group: Group<A>,
    pub(super) answers: Vec<Answer>,
    is_taken: bool,
}

impl<A: Algorithm, S: Store<A>> Decided<A, S> {
    pub(super) fn new(
        pipeline: Arc<Pipeline<A, S>>,
        group: Group<A>,
        answers: Vec<Answer>,
    ) -> Self {
        Self { pipeline, group, answers, is_taken: false }
    }

    /// The answer to the first order.
    pub(super) fn answer(&self) -> Answer {
        self.answers[0]
    }

    /// Whoever has it looks after the permits from now on.
    pub(super) fn take(self) -> Answer {
        let answer = self.answer();
        drop(self.take_all());
        answer
    }

    /// The same with the answers to all orders.
    pub(super) fn take_all(mut self) -> Vec<Answer> {
        self.is_taken = true;
        mem::take(&mut self.answers)
    }
}

impl<A: Algorithm, S: Store<A>> Drop for Decided<A, S> {
    fn drop(&mut self) {
        if self.is_taken || !self.answers.iter().all(Answer::is_granted) {
            return;
        }
        let back = self.group.orders().zip(&self.answers).filter_map(|(order, answer)| {
            let ask = undo(order.ask, *answer)?;
            Some(Order { ask, is_with_previous: false, ..order.clone() })
        });
        if let Some(group) = Group::of(back) {
            self.pipeline.send(group);
        }
    }
}

/// What takes back permits that were granted.
pub(super) fn undo(ask: StoreAsk, answer: Answer) -> Option<StoreAsk> {
    let grant = answer.decision.grant().filter(|grant| grant.cost > 0)?;
    match (ask, answer.reserved()) {
        (StoreAsk::Reserve { .. }, Some(reserved)) => Some(StoreAsk::Return(reserved)),
        (StoreAsk::Reserve { .. } | StoreAsk::Ask(Ask::Take(_)), _) => {
            Some(StoreAsk::Ask(Ask::GiveBack(grant)))
        }
        _ => None,
    }
}

impl<A: Algorithm, S: Store<A>> fmt::Debug for Decided<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided").field("answers", &self.answers).finish_non_exhaustive()
    }
}
