//! The calls that wait, and those whose permits are not used yet.

use super::{limit::Part, verdict::Verdict};
use crate::{decision::Grant, error::Reason, limiter::line::Place, nanos::Nanos};
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
}

/// How a call stands.
pub(super) enum Standing {
    /// In line; when it is to be looked at again, where it is the first in all its lanes.
    Waiting(Option<Nanos>),
    /// Let go, and it has not used its permits.
    Granted(Unused),
    /// Its permits went back, as it did not use them in time.
    Perished,
    /// It learned in line that it waits in vain.
    Refused(Verdict),
    /// All who waited were sent away.
    SentAway(Reason),
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
    /// A place for one more call, behind all others.
    pub(super) fn add(&mut self, parts: Vec<Part>, standing: Standing) -> Place {
        self.places += 1;
        let place = Place::behind(self.places);
        let call = Call { parts, standing, waker: None, alarm: Nanos::MAX };
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
