//! What holds for all lanes under one lock.

use std::{fmt, sync::Arc};

/// By which arithmetic calls are let go, and whether it is asked at all.
pub(super) struct Rules<A> {
    pub(super) algorithm: Arc<A>,
    pub(super) gate: Gate,
}

/// Whether calls are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// As ever.
    Working,
    /// Everybody passes, and nothing is taken.
    Open,
    /// Nobody passes.
    Closed,
}

impl<A> Rules<A> {
    pub(super) fn new(algorithm: A) -> Self {
        Self { algorithm: Arc::new(algorithm), gate: Gate::Working }
    }
}

impl<A> Clone for Rules<A> {
    fn clone(&self) -> Self {
        Self { algorithm: Arc::clone(&self.algorithm), gate: self.gate }
    }
}

impl<A: fmt::Debug> fmt::Debug for Rules<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("algorithm", &self.algorithm)
            .field("gate", &self.gate)
            .finish()
    }
}
