//! Orders that are decided together, and what became of them.

use super::{pipeline::Pipeline, ticket::Taken};
use crate::{
    algorithm::Algorithm,
    decision::Ask,
    nanos::Nanos,
    store::{Answer, Order, Store, StoreAsk},
};
use std::{fmt, sync::Arc};

/// The orders of one call, and room for what is answered. In a box, as it goes through many hands.
pub(super) struct Group<A>(Box<Asked<A>>);

/// Most have one order.
struct Asked<A> {
    first: Order<A>,
    others: Vec<Order<A>>,
    answers: Answers,
}

/// Those to a group: most have one, for which there is room without any further ado.
#[derive(Debug)]
enum Answers {
    One([Answer; 1]),
    Several(Vec<Answer>),
}

impl Answers {
    fn all(&self) -> &[Answer] {
        match self {
            Self::One(answer) => answer,
            Self::Several(answers) => answers,
        }
    }
}

impl<A> Group<A> {
    pub(super) fn one(order: Order<A>) -> Self {
        let (others, answers) = (Vec::new(), Answers::Several(Vec::new()));
        Self(Box::new(Asked { first: order, others, answers }))
    }

    /// All of these; nothing where there are none. Whether they are taken together each of them
    /// says.
    pub(super) fn of(orders: impl IntoIterator<Item = Order<A>>) -> Option<Self> {
        let mut orders = orders.into_iter();
        let mut group = Self::one(orders.next()?);
        group.0.others.extend(orders);
        Some(group)
    }

    /// How many orders.
    pub(super) fn len(&self) -> usize {
        1 + self.0.others.len()
    }

    pub(super) fn first(&self) -> &Order<A> {
        &self.0.first
    }

    pub(super) fn orders(&self) -> impl Iterator<Item = &Order<A>> {
        std::iter::once(&self.0.first).chain(&self.0.others)
    }
}

/// A group and its answers. Permits that nobody takes out of it go back when it is dropped,
/// wherever that is: on the way to a caller who has gone, or in its hands.
pub(super) struct Decided<A: Algorithm, S: Store<A>> {
    pipeline: Arc<Pipeline<A, S>>,
    /// Nothing once it was taken.
    group: Option<Group<A>>,
    /// When the answers came.
    pub(super) at: Nanos,
}

impl<A: Algorithm, S: Store<A>> Decided<A, S> {
    /// A group and the next answers, which are those to it, and came at this instant.
    pub(super) fn new(
        pipeline: Arc<Pipeline<A, S>>,
        mut group: Group<A>,
        answers: &mut impl Iterator<Item = Answer>,
        at: Nanos,
    ) -> Self {
        let mut answers = answers.take(group.len());
        group.0.answers = match (group.len(), answers.next()) {
            (1, Some(answer)) => Answers::One([answer]),
            (_, first) => Answers::Several(first.into_iter().chain(answers).collect()),
        };
        Self { pipeline, group: Some(group), at }
    }

    /// The answer to the first order.
    pub(super) fn answer(&self) -> Answer {
        self.answers()[0]
    }

    /// The answers to all orders.
    pub(super) fn answers(&self) -> &[Answer] {
        self.group.as_ref().map_or(&[], |group| group.0.answers.all())
    }

    /// Whoever has it looks after the permits from now on.
    pub(super) fn take(mut self) -> Answer {
        let answer = self.answer();
        self.group = None;
        answer
    }

    /// The same with the answers to all orders.
    pub(super) fn take_all(mut self) -> Vec<Answer> {
        let answers = self.answers().to_vec();
        self.group = None;
        answers
    }

    /// The same with the first order, as what was taken.
    pub(super) fn take_order(mut self) -> Taken<A> {
        let answer = self.answer();
        let group = self.group.take().expect("it is there until it is taken");
        let Order { limit, key, .. } = group.0.first;
        Taken { limit, key, answer }
    }
}

impl<A: Algorithm, S: Store<A>> Drop for Decided<A, S> {
    fn drop(&mut self) {
        let Some(group) = self.group.take() else { return };
        let answers = group.0.answers.all();
        if !answers.iter().all(Answer::is_granted) {
            return;
        }
        let back = group.orders().zip(answers).filter_map(|(order, answer)| {
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
        f.debug_struct("Decided").field("answers", &self.answers()).finish_non_exhaustive()
    }
}
