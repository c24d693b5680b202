//! Keys that were refused, and until when it is of no use to ask for them.

use crate::{
    meters::KeyMeter,
    nanos::Nanos,
    store::{
        StoreKey,
        table::{Keep, Seed, Table},
    },
};
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// Refusals that still hold, of a bounded number of keys. It never refuses a call that the store
/// would let through, unless another process gave something back meanwhile.
pub(super) struct Refused {
    table: Box<Table<Refusal, ()>>,
    /// How often something came back, to any key.
    freed: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Refusal {
    cost: u32,
    until: Nanos,
}

/// How often something had come back when an ask was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent(u64);

impl Keep<()> for Refusal {
    fn new_at(&self, (): &()) -> Option<Nanos> {
        Some(self.until)
    }

    fn has_words() -> bool {
        true
    }

    /// Most calls ask for one permit, and nothing more has to be remembered of those.
    fn word(&self) -> Option<Nanos> {
        (self.cost == 1).then_some(self.until)
    }

    fn from_word(until: Nanos) -> Self {
        Self { cost: 1, until }
    }
}

impl Refused {
    /// Remembers at most this many keys.
    pub(super) fn new(keys: usize, meter: KeyMeter) -> Self {
        let table = Box::new(Table::new(Seed::random(), keys, &(), meter));
        Self { table, freed: AtomicU64::new(0) }
    }

    /// How long a call of this cost is refused in any case.
    pub(super) fn wait(&self, key: &StoreKey, cost: u32, now: Nanos) -> Option<Nanos> {
        let fingerprint = self.table.fingerprint(key.bytes());
        let refusal = match self.table.word(fingerprint) {
            Some(word) => Refusal::from_word(word.state()),
            None => self.table.existing(fingerprint, |(), refusal| *refusal)?,
        };
        (refusal.cost <= cost && refusal.until > now).then(|| refusal.until - now)
    }

    /// To be asked for before an ask is sent whose refusal may be noted.
    pub(super) fn sent(&self) -> Sent {
        Sent(self.freed.load(Ordering::Relaxed))
    }

    /// A call of this cost is refused until then. Where there is no room to remember it, the store
    /// is asked again; also where something came back since, as nobody knows which of the two the
    /// store saw first.
    pub(super) fn note(&self, key: &StoreKey, cost: u32, until: Nanos, now: Nanos, sent: Sent) {
        let fingerprint = self.table.fingerprint(key.bytes());
        // Looked at under the lock that `freed` takes after it has counted.
        let note = |(): &(), refusal: &mut Refusal| {
            if self.freed.load(Ordering::Relaxed) == sent.0 {
                *refusal = Refusal { cost, until };
            }
        };
        let _ = self.table.entry(fingerprint, now, note);
    }

    /// Something came back: there may be permits now.
    pub(super) fn freed(&self, key: &StoreKey) {
        self.freed.fetch_add(1, Ordering::Relaxed);
        self.table.forget(self.table.fingerprint(key.bytes()), Nanos::MAX);
    }

    /// The limit is another one.
    pub(super) fn forget_all(&self) {
        self.freed.fetch_add(1, Ordering::Relaxed);
        self.table.evict(Nanos::MAX);
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("keys", &self.table.len()).finish()
    }
}
