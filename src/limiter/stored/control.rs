//! Taking hold of a limiter while it is in use.

use super::{super::rules::Gate, shared::Shared};
use crate::{algorithm::Algorithm, store::Store};

/// Who has taken hold of the limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) gate: Gate,
    /// How often all who waited were let go.
    breaches: u64,
    /// How often all who waited were sent away.
    cancels: u64,
}

/// What became of those who waited when somebody took hold of the limiter.
pub(super) enum Fate {
    Passes,
    Cancelled,
    Closed,
}

impl Control {
    pub(super) fn new() -> Self {
        Self { gate: Gate::Working, breaches: 0, cancels: 0 }
    }

    /// What becomes of a call that began earlier, when this is how things are now.
    pub(super) fn fate(self, earlier: Self) -> Fate {
        match self.gate {
            Gate::Open => Fate::Passes,
            Gate::Closed => Fate::Closed,
            // The breach has ended before the call looked, which is not the call's fault.
            Gate::Working if self.breaches != earlier.breaches => Fate::Passes,
            Gate::Working => Fate::Cancelled,
        }
    }
}

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    pub(super) fn cancel(&self) {
        self.control.send_modify(|control| control.cancels += 1);
    }

    pub(super) fn breach(&self) {
        self.control.send_modify(|control| {
            if control.gate != Gate::Closed {
                control.gate = Gate::Open;
                control.breaches += 1;
            }
        });
    }

    pub(super) fn end_breach(&self) {
        self.control.send_modify(|control| {
            if control.gate == Gate::Open {
                control.gate = Gate::Working;
            }
        });
    }

    pub(super) fn close(&self) {
        self.control.send_modify(|control| control.gate = Gate::Closed);
    }

    /// Who has taken hold of the limiter by now.
    pub(super) fn control(&self) -> Control {
        *self.control.borrow()
    }

    /// The same, once it is something else than before.
    pub(super) async fn disturbed(&self, before: Control) -> Control {
        let mut control = self.control.subscribe();
        // The sender lives as long as this limiter.
        match control.wait_for(|now| *now != before).await {
            Ok(now) => *now,
            Err(_) => before,
        }
    }
}
