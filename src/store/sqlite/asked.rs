//! A batch on its way to the thread of the file and back.

use super::round::{Halt, Round};
use crate::{
    algorithm::{Algorithm, StoredState},
    store::{Answer, Batch, StoreError},
};
use std::panic::{self, AssertUnwindSafe};
use tokio::sync::oneshot::Sender;

/// A batch of an algorithm that nobody knows here.
pub(super) trait Ask: Send {
    /// Whether nobody waits for an answer any more.
    fn is_abandoned(&self) -> bool;

    /// Makes the answers, which may change when it is decided again.
    fn decide(&mut self, round: &mut Round<'_, '_>) -> Result<(), Halt>;

    /// Gives the answers that were made last.
    fn answer(self: Box<Self>);

    fn fail(self: Box<Self>, error: StoreError);
}

pub(super) struct Asked<A> {
    batch: Batch<A>,
    answers: Vec<Answer>,
    reply: Sender<Result<Vec<Answer>, StoreError>>,
}

impl<A> Asked<A> {
    pub(super) fn new(batch: Batch<A>, reply: Sender<Result<Vec<Answer>, StoreError>>) -> Self {
        Self { batch, answers: Vec::new(), reply }
    }
}

impl<A> Ask for Asked<A>
where
    A: Algorithm,
    A::State: StoredState,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn decide(&mut self, round: &mut Round<'_, '_>) -> Result<(), Halt> {
        let now = round.next(self.batch.now());
        // An algorithm of somebody else that panics takes the thread with it otherwise, and so
        // everybody's limits. Whatever it has left behind is undone.
        let answered = panic::catch_unwind(AssertUnwindSafe(|| self.batch.answer(now, round)));
        let panicked = |_| Halt::Fails(StoreError::new("the algorithm panicked"));
        self.answers = answered.map_err(panicked)??;
        Ok(())
    }

    fn answer(self: Box<Self>) {
        // Whoever is gone needs no answer.
        let _ = self.reply.send(Ok(self.answers));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}
