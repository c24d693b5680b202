//! Keeping the keys of calls.

use super::{
    board::Board,
    limit::{LaneId, Part},
};
use crate::{limiter::AtCapacity, nanos::Nanos, store::table::Fingerprint};

/// As many keys of this limit as may be kept are in use.
pub(super) struct NoRoom(pub(super) Part);

impl Board {
    /// Keeps the keys of these parts until they are [released](Self::release), those without room as
    /// the one that such keys share.
    ///
    /// # Errors
    ///
    /// When there is no room, and such keys are refused. Nothing is kept then.
    pub(super) fn keep(&mut self, mut parts: Vec<Part>, now: Nanos) -> Result<Vec<Part>, NoRoom> {
        for index in 0..parts.len() {
            let LaneId { limit, key } = parts[index].lane;
            if let Some(birth) = self.limits[limit].keep(key, now) {
                parts[index].birth = birth;
                continue;
            }
            if self.at_capacity == AtCapacity::Refuse {
                self.release(&parts[..index], now);
                return Err(NoRoom(parts[index]));
            }
            let shared = self.limits[limit].keep(Fingerprint::OVERFLOW, now);
            parts[index].lane.key = Fingerprint::OVERFLOW;
            parts[index].birth = shared.unwrap_or_default();
        }
        Ok(self.merge(parts, now))
    }

    /// Makes one part of those that came to share a lane.
    fn merge(&mut self, parts: Vec<Part>, now: Nanos) -> Vec<Part> {
        let mut merged: Vec<Part> = Vec::with_capacity(parts.len());
        for part in parts {
            match merged.iter_mut().find(|other| other.lane == part.lane) {
                Some(other) => {
                    other.cost = other.cost.saturating_add(part.cost);
                    self.limits[part.lane.limit].release(part.lane.key, now);
                }
                None => merged.push(part),
            }
        }
        merged
    }

    pub(super) fn release(&mut self, parts: &[Part], now: Nanos) {
        for part in parts {
            self.limits[part.lane.limit].release(part.lane.key, now);
        }
    }
}
