//! What holds for all lanes under one lock.

use crate::nanos::Nanos;
use std::{fmt, sync::Arc};

/// By which arithmetic calls are let go, and whether it is asked at all.
pub(super) struct Rules<A> {
    pub(super) algorithm: Arc<A>,
    pub(super) gate: Gate,
    /// How much later than need be those who wait are let go.
    pub(super) slack: Nanos,
    /// How often everything has begun anew.
    pub(super) resets: u32,
}

/// What came about under these rules.
///
/// How often everything had begun anew is read under the same lock, or what was forgotten at a reset
/// might count as something from after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dated<T> {
    pub(super) what: T,
    pub(super) resets: u32,
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

impl Gate {
    /// Opens it, unless it is closed for good.
    pub(super) fn open(&mut self) {
        if *self == Gate::Working {
            *self = Gate::Open;
        }
    }

    /// Limits calls again, if they all pass.
    pub(super) fn end_breach(&mut self) {
        if *self == Gate::Open {
            *self = Gate::Working;
        }
    }
}

impl<A> Rules<A> {
    pub(super) fn new(algorithm: A, slack: Nanos) -> Self {
        Self { algorithm: Arc::new(algorithm), gate: Gate::Working, slack, resets: 0 }
    }

    /// What came about now.
    #[inline(always)]
    pub(super) fn date<T>(&self, what: T) -> Dated<T> {
        Dated { what, resets: self.resets }
    }
}

impl<A> Clone for Rules<A> {
    fn clone(&self) -> Self {
        Self { algorithm: Arc::clone(&self.algorithm), ..*self }
    }
}

impl<A: fmt::Debug> fmt::Debug for Rules<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("algorithm", &self.algorithm)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
