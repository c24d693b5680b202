//! One of the limits, whatever its algorithm.

use crate::{
    decision::{Ask, Decision},
    limiter::Standing,
    nanos::Nanos,
    rate::Rate,
    store::table::Fingerprint,
};
use std::{any::Any, sync::Arc};

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
    /// Of which state, once the key is kept.
    pub(super) birth: Birth,
}

/// Tells the states apart that one key has, one after the other: what was taken of one that was
/// forgotten does not go back to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Birth(pub(super) u64);

/// The limits that these parts are of, each once.
pub(super) fn limits_of(parts: &[Part]) -> impl Iterator<Item = usize> {
    let before = |index: usize| parts[..index].iter().map(|part| part.lane.limit);
    let limits = parts.iter().map(|part| part.lane.limit).enumerate();
    limits
        .filter(move |(index, limit)| before(*index).all(|other| other != *limit))
        .map(|(_, limit)| limit)
}

/// A limit with the states of its keys. An implementation is free of lines and of other limits.
pub(super) trait Limit: Send {
    /// Asks about a key. A key that is not kept is asked about as a new one, and forgotten.
    fn decide(&mut self, key: Fingerprint, now: Nanos, ask: Ask) -> Decision;

    /// Asks about permits that were used, and forgets the key if it equals a new one then. `None`
    /// when the state that they were taken of is gone.
    fn settle(&mut self, key: Fingerprint, birth: Birth, now: Nanos, ask: Ask) -> Option<Decision>;

    /// Keeps a key until it is [released](Self::release), once for each time it is kept. `None`
    /// when as many keys as may be are in use.
    fn keep(&mut self, key: Fingerprint, now: Nanos) -> Option<Birth>;

    /// Forgets a key as soon as it equals a new one, unless it is kept by others.
    fn release(&mut self, key: Fingerprint, now: Nanos);

    /// Forgets all keys that equal new ones and are not kept, and says how many those were.
    fn evict(&mut self, now: Nanos) -> usize;

    /// How many keys there are.
    fn keys(&self) -> usize;

    /// Forgets a key, whatever was taken. Nobody keeps it.
    fn forget(&mut self, key: Fingerprint);

    /// Forgets all keys, whatever was taken. Nobody keeps them.
    fn reset(&mut self);

    /// Goes on by another algorithm of the same type.
    ///
    /// # Errors
    ///
    /// The name of that type when the other one is of another type. Nothing changes then.
    fn set_algorithm(
        &mut self,
        algorithm: Arc<dyn Any + Send + Sync>,
        now: Nanos,
    ) -> Result<(), &'static str>;

    fn rate(&self, index: usize) -> Option<Rate>;

    /// Tells how its rates stand, by what it answered about a key.
    fn standing(&self, decision: Option<Decision>, tell: &mut dyn FnMut(Standing<'static>));

    fn interval(&self) -> Nanos;

    fn shelf_life(&self) -> Nanos;

    /// Whether calls hold their permits until they end.
    fn holds(&self) -> bool;

    /// Begins to imagine how the state of a key goes on.
    fn imagine(&mut self, key: Fingerprint);

    /// Asks about the imagined state; about a copy of the real one where none is imagined.
    fn decide_imagined(&mut self, key: Fingerprint, now: Nanos, ask: Ask) -> Decision;

    fn stop_imagining(&mut self);
}
