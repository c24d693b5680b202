//! Taking hold of a limiter while it is in use.

use super::{
    super::rules::Gate,
    first::{Either, first_of},
};
use std::{
    pin::pin,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// Who has taken hold of the limiter: how things are, how often all who waited were let go, and how often
/// they were sent away. One word, which every caller reads without a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Control(u64);

/// The lowest two bits are the gate.
const GATE: u64 = 0b11;
const WORKING: u64 = 0;
const OPEN: u64 = 1;
const CLOSED: u64 = 2;

/// One more breach; they have 31 bits, and what is more than that counts as cancels.
const BREACH: u64 = 1 << 2;

/// One more cancel, of which nobody stays for as many as there are.
const CANCEL: u64 = 1 << 33;

/// What became of those who waited when somebody took hold of the limiter.
pub(super) enum Fate {
    Passes,
    Cancelled,
    Closed,
}

impl Control {
    pub(super) fn gate(self) -> Gate {
        match self.0 & GATE {
            WORKING => Gate::Working,
            OPEN => Gate::Open,
            _ => Gate::Closed,
        }
    }

    /// The same otherwise.
    fn with_gate(self, gate: u64) -> Self {
        Self(self.0 & !GATE | gate)
    }

    fn breaches(self) -> u64 {
        self.0 % CANCEL / BREACH
    }

    /// What becomes of a call that began earlier, when this is how things are now.
    fn fate(self, earlier: Self) -> Fate {
        match self.gate() {
            Gate::Open => Fate::Passes,
            Gate::Closed => Fate::Closed,
            // The breach has ended before the call looked, which is not the call's fault.
            Gate::Working if self.breaches() != earlier.breaches() => Fate::Passes,
            Gate::Working => Fate::Cancelled,
        }
    }
}

/// By which somebody takes hold of a limiter.
#[derive(Debug, Default)]
pub(super) struct Reins {
    control: AtomicU64,
    changed: Bells,
}

/// Wake whoever is to look again. Every call gets on a list as it comes and off it as it goes, and one list
/// would go from processor to processor with each.
#[derive(Debug, Default)]
struct Bells([Bell; 16]);

/// With a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Bell(Notify);

impl Bells {
    /// One for whoever is at this place in memory.
    fn at<T>(&self, place: &T) -> &Notify {
        // Places are far apart, and as a rule at the same distance from each other.
        let mixed = (ptr::from_ref(place).addr() as u64 >> 6).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.0[(mixed >> 60) as usize].0
    }

    fn ring(&self) {
        self.0.iter().for_each(|bell| bell.0.notify_waiters());
    }
}

impl Reins {
    pub(super) fn cancel(&self) {
        self.change(|control| Control(control.0.wrapping_add(CANCEL)));
    }

    pub(super) fn breach(&self) {
        self.change(|control| match control.gate() {
            Gate::Closed => control,
            _ => Control(control.0.wrapping_add(BREACH)).with_gate(OPEN),
        });
    }

    pub(super) fn end_breach(&self) {
        self.change(|control| match control.gate() {
            Gate::Open => control.with_gate(WORKING),
            _ => control,
        });
    }

    pub(super) fn close(&self) {
        self.change(|control| control.with_gate(CLOSED));
    }

    /// Who has taken hold of the limiter by now.
    pub(super) fn control(&self) -> Control {
        Control(self.control.load(Ordering::SeqCst))
    }

    fn change(&self, change: impl Fn(Control) -> Control) {
        let changed = |control| Some(change(Control(control)).0);
        let _ = self.control.fetch_update(Ordering::SeqCst, Ordering::SeqCst, changed);
        self.changed.ring();
    }

    /// What the future comes to, unless somebody takes hold of the limiter meanwhile. What it came
    /// to in vain is given back.
    ///
    /// # Errors
    ///
    /// What becomes of the call otherwise.
    pub(super) async fn undisturbed<T>(
        &self,
        before_it: Control,
        future: impl Future<Output = T>,
        give_back: impl FnOnce(T),
    ) -> Result<T, Fate> {
        let now = match first_of(future, pin!(self.disturbed(before_it))).await {
            Either::First(result) => {
                let now = self.control();
                if now == before_it {
                    return Ok(result);
                }
                give_back(result);
                now
            }
            // What it had, or was about to get, goes back as it is dropped.
            Either::Second(now) => now,
        };
        Err(now.fate(before_it))
    }

    /// Who has taken hold of it, once that is somebody else than before.
    async fn disturbed(&self, before: Control) -> Control {
        let bell = self.changed.at(&before);
        loop {
            // Made before the look, it hears of every change after it.
            let changed = bell.notified();
            let now = self.control();
            if now != before {
                return now;
            }
            changed.await;
        }
    }
}
