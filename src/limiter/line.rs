//! Who waits for one key, and who was granted permits and has not used them yet.

use crate::{
    decision::Grant,
    error::Reason,
    meters::{InLine, LineMeter},
    nanos::Nanos,
};
use std::{
    collections::{BTreeMap, VecDeque, btree_map::OccupiedEntry},
    num::NonZeroU64,
    task::Waker,
};

/// A place in line, and later the permit that was granted there. Earlier places are smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(NonZeroU64);

impl Place {
    /// Where those stand who need no permit.
    pub(super) const FREE: Self = Self(NonZeroU64::MIN);
    /// Where those stand who were promised a permit that is there for the taking.
    pub(super) const PROMISED: Self = Self(NonZeroU64::new(u64::MAX - 1).expect("it is not zero"));
    /// Behind everybody.
    pub(super) const LAST: Self = Self(NonZeroU64::MAX);

    /// The place behind `number` others.
    #[inline]
    pub(super) const fn behind(number: u64) -> Self {
        Self(Self::FREE.0.saturating_add(number))
    }
}

/// The line of one key.
pub(super) struct Line {
    /// How many places there were.
    places: u64,
    /// In the order in which they are served.
    waiting: BTreeMap<Place, Waiter>,
    /// The costs of all who ever got in line.
    total: u64,
    /// In the order in which they were granted, which is that of the places but for the few
    /// that got back in line.
    unused: VecDeque<(Place, Grant)>,
    /// Who waited, was sent away, and does not know it yet.
    sent_away: BTreeMap<Place, Reason>,
    meter: LineMeter,
}

/// A call in line.
pub(super) struct Waiter {
    pub(super) cost: u32,
    /// The last instant at which it accepts to be let go.
    pub(super) latest: Nanos,
    /// The costs of all who ever got in line before, and its own.
    total: u64,
    /// Wakes its task. Gone once it was used; each poll leaves a new one.
    pub(super) waker: Option<Waker>,
    /// When its own timer goes off.
    pub(super) alarm: Nanos,
    /// Counts it for as long as it stands in line.
    _in_line: InLine,
}

impl Line {
    /// A line whose places are behind `places` others.
    pub(super) fn new(places: u64, meter: LineMeter) -> Self {
        Self {
            places,
            waiting: BTreeMap::new(),
            total: 0,
            unused: VecDeque::new(),
            sent_away: BTreeMap::new(),
            meter,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.unused.is_empty() && self.sent_away.is_empty()
    }

    /// The next place, behind all others.
    #[inline]
    pub(super) fn place(&mut self) -> Place {
        self.places += 1;
        Place::behind(self.places)
    }

    /// How many wait.
    #[inline]
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

    /// About how many permits those take who wait from the second on up to `place`: exact near the
    /// front, and otherwise counting those who left, too.
    pub(super) fn permits_before(&self, place: Place) -> u32 {
        const NEAR: usize = 4;
        let up_to_place = || self.waiting.range(..=place).map(|(_, waiter)| waiter);
        let permits = match up_to_place().nth(NEAR) {
            None => up_to_place().skip(1).map(|waiter| u64::from(waiter.cost)).sum(),
            Some(_) => {
                let total = |waiter: Option<&Waiter>| waiter.map_or(0, |waiter| waiter.total);
                total(self.waiting.get(&place)).saturating_sub(total(up_to_place().next()))
            }
        };
        u32::try_from(permits).unwrap_or(u32::MAX)
    }

    /// Who is to be served next, and who after that.
    pub(super) fn first_two(&mut self) -> impl Iterator<Item = &mut Waiter> {
        self.waiting.values_mut().take(2)
    }

    pub(super) fn is_waiting(&self, place: Place) -> bool {
        self.waiting.contains_key(&place)
    }

    pub(super) fn waiter(&mut self, place: Place) -> Option<&mut Waiter> {
        self.waiting.get_mut(&place)
    }

    /// Gets in line at this place.
    pub(super) fn wait(&mut self, place: Place, cost: u32, latest: Nanos) {
        // Somebody back in line stands before all who came later.
        let behind = self.waiting.range(place..).next();
        let total = match behind {
            // The line may have ended meanwhile, and another one begun without it.
            Some((_, next)) => next.total.saturating_sub(next.cost.into()),
            None => {
                self.total += u64::from(cost);
                self.total
            }
        };
        let (alarm, _in_line) = (Nanos::MAX, self.meter.joined());
        let waiter = Waiter { cost, latest, total, waker: None, alarm, _in_line };
        self.waiting.insert(place, waiter);
    }

    /// Gets out of line.
    pub(super) fn leave(&mut self, place: Place) -> Option<Waiter> {
        self.waiting.remove(&place)
    }

    /// Keeps permits until they are used.
    #[inline]
    pub(super) fn keep(&mut self, place: Place, grant: Grant) {
        self.unused.push_back((place, grant));
    }

    /// The unused permits of this place.
    pub(super) fn unused(&self, place: Place) -> Option<Grant> {
        let (_, grant) = self.unused.get(self.find(place)?)?;
        Some(*grant)
    }

    /// All unused permits, the youngest first.
    pub(super) fn all_unused(&self) -> impl Iterator<Item = Grant> {
        self.unused.iter().rev().map(|(_, grant)| *grant)
    }

    /// Takes out the unused permits of this place.
    pub(super) fn take(&mut self, place: Place) -> Option<Grant> {
        let (_, grant) = self.unused.remove(self.find(place)?)?;
        Some(grant)
    }

    /// Takes out the unused permits of this place if they are the last ones, and as they should be.
    #[inline]
    pub(super) fn take_last_if(
        &mut self,
        place: Place,
        good: impl FnOnce(&Grant) -> bool,
    ) -> Option<Grant> {
        let last = self.unused.pop_back_if(|(last, grant)| *last == place && good(grant));
        last.map(|(_, grant)| grant)
    }

    /// All who wait, in order.
    pub(super) fn all_waiting(&self) -> impl Iterator<Item = (Place, &Waiter)> {
        self.waiting.iter().map(|(place, waiter)| (*place, waiter))
    }

    /// Sends away the first in line.
    pub(super) fn send_first_away(&mut self, reason: Reason) -> Option<Waiter> {
        let place = *self.waiting.first_key_value()?.0;
        self.send_away(place, reason)
    }

    /// Sends away the one at `place`.
    pub(super) fn send_away(&mut self, place: Place, reason: Reason) -> Option<Waiter> {
        let waiter = self.waiting.remove(&place)?;
        self.sent_away.insert(place, reason);
        Some(waiter)
    }

    /// Why the one at `place` was sent away, if it was. It knows then.
    pub(super) fn was_sent_away(&mut self, place: Place) -> Option<Reason> {
        self.sent_away.remove(&place)
    }

    /// Does away with all unused permits, and sends away those who have them: some of them may
    /// still wait, and not know that they were let go.
    pub(super) fn send_unused_away(&mut self, reason: Reason) {
        self.sent_away.extend(self.unused.drain(..).map(|(place, _)| (place, reason)));
    }

    /// The oldest unused permits.
    pub(super) fn oldest(&self) -> Option<(Place, Grant)> {
        self.unused.front().copied()
    }

    fn find(&self, place: Place) -> Option<usize> {
        let is_there = |index: &usize| self.unused.get(*index).is_some_and(|(at, _)| *at == place);
        let in_order = self.unused.binary_search_by_key(&place, |(place, _)| *place).ok();
        // Out of order only behind somebody who got back in line.
        in_order.or_else(|| (0..self.unused.len()).find(is_there))
    }
}
