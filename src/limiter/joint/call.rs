//! The calls that wait, and those whose permits are not used yet.

use super::{limit::Part, verdict::Verdict};
use crate::{decision::Grant, error::Reason, limiter::line::Place, meters::InLine, nanos::Nanos};
use std::{collections::BTreeMap, task::Waker};

/// A call that has a place.
pub(super) struct Call {
    /// What it asks for. Each lane is in it once, and no cost is zero.
    pub(super) parts: Vec<Part>,
    pub(super) standing: Standing,
    /// Wakes its task. Gone once it was used; each poll leaves a new one.
    pub(super) waker: Option<Waker>,
    /// When its own timer goes off.
    pub(super) alarm: Nanos,
    /// When it came.
    pub(super) since: Nanos,
}

/// How a call stands.
pub(super) enum Standing {
    Waiting(Waits),
    /// Let go, and it has not used its permits.
    Granted(Unused),
    /// Let go, and nothing was taken for it.
    Passed,
    /// Its permits went back, as it did not use them in time.
    Perished,
    /// It learned in line that it waits in vain.
    Refused(Verdict),
    /// All who waited were sent away.
    SentAway(Reason),
}

/// A call in line.
pub(super) struct Waits {
    /// When it is to be looked at again, where it is the first in all its lanes.
    pub(super) due: Option<Nanos>,
    /// Count it for as long as it stands in line.
    _in_lines: Vec<InLine>,
}

impl Waits {
    pub(super) fn new(in_lines: Vec<InLine>) -> Self {
        Self { due: None, _in_lines: in_lines }
    }
}

/// Permits granted and not used.
pub(super) struct Unused {
    /// One for each part, in order.
    pub(super) grants: Vec<Grant>,
    /// From when on they go to whoever needs them.
    pub(super) perishes: Nanos,
}

/// The calls by their places.
#[derive(Default)]
pub(super) struct Calls {
    by_place: BTreeMap<Place, Call>,
    /// How many places there were.
    places: u64,
}

impl Calls {
    /// A place for one more call, behind all others. How it stands there is said next.
    pub(super) fn add(&mut self, parts: Vec<Part>, since: Nanos) -> Place {
        self.places += 1;
        let place = Place::behind(self.places);
        let standing = Standing::Passed;
        let call = Call { parts, standing, waker: None, alarm: Nanos::MAX, since };
        self.by_place.insert(place, call);
        place
    }

    pub(super) fn get(&self, place: Place) -> Option<&Call> {
        self.by_place.get(&place)
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Call> {
        self.by_place.get_mut(&place)
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Call> {
        self.by_place.remove(&place)
    }

    /// All places, in order.
    pub(super) fn places(&self) -> Vec<Place> {
        self.by_place.keys().copied().collect()
    }
}
