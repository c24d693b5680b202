//! The call that runs, and those that have ended.

use super::{stored::StoredState, window_log::WindowLog};
use crate::{decision::Grant, nanos::Nanos};

/// The state of [`Serialized`](crate::Serialized): the call that runs, and those that have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SerialLog {
    pub(super) running: Option<Grant>,
    pub(super) completions: WindowLog,
}

impl StoredState for SerialLog {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.running.write(bytes);
        self.completions.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let running: Option<Grant> = StoredState::read(bytes)?;
        // A call of no cost does not run as far as the limit knows.
        let is_none_or_counts = running.is_none_or(|grant| grant.cost > 0);
        let completions = WindowLog::read(bytes)?;
        is_none_or_counts.then_some(Self { running, completions })
    }

    /// The call counts as completed.
    fn end_calls(&mut self, now: Nanos) {
        if let Some(Grant { cost, at }) = self.running.take() {
            self.completions.push(Grant { cost, at: self.completions.latest(at.max(now)) });
        }
    }
}
