//! One of the limits, whatever its algorithm.

use super::kept::Kept;
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision},
    nanos::Nanos,
    rate::Rate,
    store::memory::Fingerprint,
};
use std::{fmt, sync::Arc};

/// A key of one of the limits: where its calls stand in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LaneId {
    /// Which of the limits, counted from zero.
    pub(super) limit: usize,
    pub(super) key: Fingerprint,
}

/// What a call asks of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) lane: LaneId,
    pub(super) cost: u32,
}

/// What is true of a limit at all times, and needs no lock.
pub(super) trait Facts: fmt::Debug + Send + Sync {
    fn rate(&self, index: usize) -> Option<Rate>;
    fn interval(&self) -> Nanos;
    fn shelf_life(&self) -> Nanos;
    fn holds(&self) -> bool;
}

/// An algorithm, of which nothing more has to be known.
pub(super) struct Arithmetic<A>(pub(super) Arc<A>);

impl<A: Algorithm> Facts for Arithmetic<A> {
    fn rate(&self, index: usize) -> Option<Rate> {
        self.0.rate(index)
    }

    fn interval(&self) -> Nanos {
        self.0.interval()
    }

    fn shelf_life(&self) -> Nanos {
        self.0.shelf_life()
    }

    fn holds(&self) -> bool {
        self.0.holds()
    }
}

impl<A> fmt::Debug for Arithmetic<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<A>())
    }
}

/// A limit with the states of its keys. An implementation is free of lines and of other limits.
pub(super) trait Limit: Send {
    /// Asks about a key. A key that is not kept is asked about as a new one, and forgotten.
    fn decide(&mut self, key: Fingerprint, now: Nanos, ask: Ask) -> Decision;

    /// Keeps a key until it is [released](Self::release), once for each time it is kept. False
    /// when as many keys as may be are in use.
    fn keep(&mut self, key: Fingerprint, now: Nanos) -> bool;

    /// Forgets a key as soon as it equals a new one, unless it is kept by others.
    fn release(&mut self, key: Fingerprint, now: Nanos);

    /// The same for a key that was not kept, and may have come to equal a new one.
    fn tidy(&mut self, key: Fingerprint, now: Nanos);

    /// Forgets all keys that equal new ones and are not kept, and says how many those were.
    fn evict(&mut self, now: Nanos) -> usize;

    /// How many keys there are.
    fn keys(&self) -> usize;

    /// Forgets everything that was taken.
    fn reset(&mut self);

    /// Begins to imagine how the state of a key goes on.
    fn imagine(&mut self, key: Fingerprint);

    /// Asks about the imagined state; about a copy of the real one where none is imagined.
    fn decide_imagined(&mut self, key: Fingerprint, now: Nanos, ask: Ask) -> Decision;

    fn stop_imagining(&mut self);
}

/// A limit that was never used yet.
pub(super) fn fresh<A: Algorithm>(algorithm: Arc<A>, max_keys: usize) -> Box<dyn Limit> {
    Box::new(Kept::new(algorithm, max_keys))
}
