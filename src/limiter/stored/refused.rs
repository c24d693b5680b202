//! Keys that were refused, and until when it is of no use to ask for them.

use crate::{
    meters::KeyMeter,
    nanos::Nanos,
    store::{
        StoreKey,
        memory::{Seed, Table},
    },
};
use std::fmt;

/// Refusals that still hold, of a bounded number of keys. It never refuses a call that the store would let
/// through, unless somebody gave something back meanwhile.
pub(super) struct Refused(Box<Table<Refusal, ()>>);

#[derive(Clone, Copy, Debug, Default)]
struct Refusal {
    cost: u32,
    until: Nanos,
}

impl Refused {
    /// Remembers at most this many keys.
    pub(super) fn new(keys: usize, meter: KeyMeter) -> Self {
        Self(Box::new(Table::new(Seed::random(), keys, &(), meter)))
    }

    /// How long a call of this cost is refused in any case.
    pub(super) fn wait(&self, key: &StoreKey, cost: u32, now: Nanos) -> Option<Nanos> {
        let fingerprint = self.0.fingerprint(key.bytes());
        let refusal = self.0.existing(fingerprint, |(), refusal| *refusal)?;
        (refusal.cost <= cost && refusal.until > now).then(|| refusal.until - now)
    }

    /// A call of this cost is refused until then. Where there is no room to remember it, the store is asked
    /// again.
    pub(super) fn note(&self, key: &StoreKey, cost: u32, until: Nanos, now: Nanos) {
        let fingerprint = self.0.fingerprint(key.bytes());
        let over_at = |(): &(), refusal: &Refusal| Some(refusal.until);
        let note = |(): &(), refusal: &mut Refusal| *refusal = Refusal { cost, until };
        let _ = self.0.entry(fingerprint, now, over_at, Refusal::default, note);
    }

    /// Something went back: there may be permits now.
    pub(super) fn forget(&self, key: &StoreKey) {
        self.0.forget(self.0.fingerprint(key.bytes()), |(), _| true);
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("keys", &self.0.len()).finish()
    }
}
