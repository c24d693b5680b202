//! Who waits for one key, and who was granted permits and has not used them yet.

use crate::{decision::Grant, nanos::Nanos};
use std::{
    collections::{BTreeMap, VecDeque, btree_map::OccupiedEntry},
    task::Waker,
};

/// A place in line, and later the permit that was granted there. Earlier places are smaller.
pub(super) type Place = u64;

/// The line of one key.
pub(super) struct Line {
    next: Place,
    /// In the order in which they are served.
    waiting: BTreeMap<Place, Waiter>,
    /// By place, which is the order in which they were granted, but for the few that got back
    /// in line.
    unused: VecDeque<(Place, Grant)>,
}

/// A call in line.
pub(super) struct Waiter {
    pub(super) cost: u32,
    /// Wakes its task. Gone once it was used; each poll leaves a new one.
    pub(super) waker: Option<Waker>,
    /// When its own timer goes off.
    pub(super) alarm: Nanos,
}

impl Line {
    /// A line whose places count from `next`.
    pub(super) fn new(next: Place) -> Self {
        Self { next, waiting: BTreeMap::new(), unused: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.unused.is_empty()
    }

    /// The next place, behind all others.
    pub(super) fn place(&mut self) -> Place {
        self.next += 1;
        self.next
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The costs of those who wait before `place`, in order.
    pub(super) fn costs_before(&self, place: Place) -> impl Iterator<Item = u32> {
        self.waiting.range(..place).map(|(_, waiter)| waiter.cost)
    }

    /// Who is to be served next.
    pub(super) fn first(&mut self) -> Option<OccupiedEntry<'_, Place, Waiter>> {
        self.waiting.first_entry()
    }

    pub(super) fn is_waiting(&self, place: Place) -> bool {
        self.waiting.contains_key(&place)
    }

    pub(super) fn waiter(&mut self, place: Place) -> Option<&mut Waiter> {
        self.waiting.get_mut(&place)
    }

    /// Gets in line at this place.
    pub(super) fn wait(&mut self, place: Place, cost: u32) {
        let waiter = Waiter { cost, waker: None, alarm: Nanos::MAX };
        self.waiting.insert(place, waiter);
    }

    /// Gets out of line; whether there was anybody at this place.
    pub(super) fn leave(&mut self, place: Place) -> bool {
        self.waiting.remove(&place).is_some()
    }

    /// Keeps permits until they are used.
    pub(super) fn keep(&mut self, place: Place, grant: Grant) {
        match self.unused.back() {
            // Somebody back in line was served after others behind it.
            Some((last, _)) if *last > place => {
                let index = self.find(place).unwrap_or_else(|index| index);
                self.unused.insert(index, (place, grant));
            }
            _ => self.unused.push_back((place, grant)),
        }
    }

    /// The unused permits of this place.
    pub(super) fn unused(&self, place: Place) -> Option<Grant> {
        let (_, grant) = self.unused.get(self.find(place).ok()?)?;
        Some(*grant)
    }

    /// Takes out the unused permits of this place.
    pub(super) fn take(&mut self, place: Place) -> Option<Grant> {
        let (_, grant) = self.unused.remove(self.find(place).ok()?)?;
        Some(grant)
    }

    /// The oldest unused permits.
    pub(super) fn oldest(&self) -> Option<(Place, Grant)> {
        self.unused.front().copied()
    }

    fn find(&self, place: Place) -> Result<usize, usize> {
        self.unused.binary_search_by_key(&place, |(place, _)| *place)
    }
}
