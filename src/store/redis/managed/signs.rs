//! What a connection shows to those who use it.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};
use tokio::sync::Notify;

/// Whether a connection is lost, in use, and answering.
#[derive(Clone, Debug)]
pub(in super::super) struct Signs(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    is_lost: AtomicBool,
    /// How many calls there are.
    calls: AtomicUsize,
    /// How many there were, and were answered; errors included.
    answers: AtomicU64,
    keeper: Arc<Notify>,
}

/// A call over a connection.
pub(super) struct Call<'a>(&'a Seen);

impl Signs {
    /// Those of a new connection, and who is told when it is lost.
    pub(super) fn new(keeper: &Arc<Notify>) -> Self {
        let (is_lost, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (answers, keeper) = (AtomicU64::new(0), Arc::clone(keeper));
        Self(Arc::new(Seen { is_lost, calls, answers, keeper }))
    }

    /// The connection is of no more use.
    pub(in super::super) fn lose(&self) {
        self.0.is_lost.store(true, SeqCst);
        self.0.keeper.notify_one();
    }

    pub(super) fn is_lost(&self) -> bool {
        self.0.is_lost.load(SeqCst)
    }

    /// A call begins, and ends when this is dropped.
    pub(super) fn call(&self) -> Call<'_> {
        self.0.calls.fetch_add(1, SeqCst);
        Call(&self.0)
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.0.calls.load(SeqCst) > 0
    }

    pub(super) fn answers(&self) -> u64 {
        self.0.answers.load(Relaxed)
    }
}

impl Call<'_> {
    pub(super) fn answered(&self) {
        self.0.answers.fetch_add(1, Relaxed);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}
