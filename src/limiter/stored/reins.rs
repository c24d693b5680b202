//! Taking hold of a limiter while it is in use.

use super::{
    super::rules::Gate,
    time::{Either, first_of},
};
use tokio::sync::watch;

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
    /// What becomes of a call that began earlier, when this is how things are now.
    fn fate(self, earlier: Self) -> Fate {
        match self.gate {
            Gate::Open => Fate::Passes,
            Gate::Closed => Fate::Closed,
            // The breach has ended before the call looked, which is not the call's fault.
            Gate::Working if self.breaches != earlier.breaches => Fate::Passes,
            Gate::Working => Fate::Cancelled,
        }
    }
}

/// By which somebody takes hold of a limiter.
#[derive(Debug)]
pub(super) struct Reins(watch::Sender<Control>);

impl Default for Reins {
    fn default() -> Self {
        Self(watch::Sender::new(Control { gate: Gate::Working, breaches: 0, cancels: 0 }))
    }
}

impl Reins {
    pub(super) fn cancel(&self) {
        self.0.send_modify(|control| control.cancels += 1);
    }

    pub(super) fn breach(&self) {
        self.0.send_modify(|control| {
            if control.gate != Gate::Closed {
                control.gate = Gate::Open;
                control.breaches += 1;
            }
        });
    }

    pub(super) fn end_breach(&self) {
        self.0.send_modify(|control| {
            if control.gate == Gate::Open {
                control.gate = Gate::Working;
            }
        });
    }

    pub(super) fn close(&self) {
        self.0.send_modify(|control| control.gate = Gate::Closed);
    }

    /// Who has taken hold of the limiter by now.
    pub(super) fn control(&self) -> Control {
        *self.0.borrow()
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
        let now = match first_of(future, self.disturbed(before_it)).await {
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
        let mut control = self.0.subscribe();
        // The sender lives as long as this limiter.
        match control.wait_for(|now| *now != before).await {
            Ok(now) => *now,
            Err(_) => before,
        }
    }
}
