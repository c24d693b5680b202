//! Who is told what became of a group in the queue.

use super::group::Decided;
use crate::{
    algorithm::Algorithm,
    nanos::Nanos,
    store::{Store, StoreError},
};
use tokio::sync::oneshot;

/// What a caller is told.
pub(super) type Reply<A, S> = Result<Decided<A, S>, StoreError>;

/// Who wants to know what becomes of a group, and by when.
pub(super) struct Caller<A: Algorithm, S: Store<A>> {
    /// Nothing once it was told.
    reply: Option<oneshot::Sender<Reply<A, S>>>,
    /// Nothing where it keeps the time itself.
    end: Option<Nanos>,
}

impl<A: Algorithm, S: Store<A>> Caller<A, S> {
    pub(super) fn new(reply: oneshot::Sender<Reply<A, S>>, end: Option<Nanos>) -> Self {
        Self { reply: Some(reply), end }
    }

    /// Nobody wants to know any more, or was told already.
    pub(super) fn is_gone(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// When it is told that there is no answer.
    pub(super) fn end(&self) -> Option<Nanos> {
        self.end.filter(|_| self.reply.is_some())
    }

    pub(super) fn is_overdue(&self, now: Nanos) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// What nobody takes goes back as it is dropped.
    pub(super) fn tell(&mut self, told: Reply<A, S>) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(told);
        }
    }
}
