//! Who waits for one key, and who was granted permits and has not used them yet.

use super::{row::Row, unused::Unused};
use crate::{
    decision::Grant,
    error::Reason,
    meters::{InLine, LineMeter},
    nanos::Nanos,
};
use std::{collections::BTreeMap, num::NonZeroU64, task::Waker};

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

    /// How many places this one is behind another, or more than any line has.
    #[inline]
    pub(super) fn after(self, other: Self) -> usize {
        let places = self.0.get().checked_sub(other.0.get());
        places.and_then(|places| usize::try_from(places).ok()).unwrap_or(usize::MAX)
    }
}

/// The line of one key.
pub(super) struct Line {
    /// How many places there were.
    places: u64,
    /// In the order in which they are served.
    waiting: Row<Waiter>,
    /// Who looks after the first one as if it were that one itself, which nobody polled in time.
    stand_in: Option<Place>,
    /// The costs of all who ever got in line.
    total: u64,
    pub(super) unused: Unused,
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
            waiting: Row::new(),
            stand_in: None,
            total: 0,
            unused: Unused::default(),
            sent_away: BTreeMap::new(),
            meter,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.len() == 0 && self.unused.is_empty() && self.sent_away.is_empty()
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
        let before = self.waiting.iter().take_while(move |(other, _)| *other < place);
        before.map(|(_, waiter)| waiter.cost)
    }

    /// Who is to be served next.
    #[inline]
    pub(super) fn first(&mut self) -> Option<(Place, &mut Waiter)> {
        self.waiting.first()
    }

    /// The first in line leaves it: its turn has come.
    #[inline]
    pub(super) fn let_first_go(&mut self) -> Option<(Place, Waiter)> {
        self.waiting.remove_first()
    }

    /// The one at `place`, and about how many permits those take who wait from the second on up to
    /// it: exact near the front, and otherwise counting those who left, too.
    pub(super) fn with_permits(&mut self, place: Place) -> Option<(&mut Waiter, u32)> {
        let first = self.waiting.first().map_or(0, |(_, first)| first.total);
        let index = self.waiting.index(place)?;
        let few = self.waiting.few_up_to(index);
        let few = few.map(|few| few.skip(1).map(|waiter| u64::from(waiter.cost)).sum());
        let waiter = self.waiting.at(index)?;
        let permits = few.unwrap_or_else(|| waiter.total.saturating_sub(first));
        Some((waiter, u32::try_from(permits).unwrap_or(u32::MAX)))
    }

    /// Who is to be served next, and who after that.
    pub(super) fn first_two(&mut self) -> impl Iterator<Item = &mut Waiter> {
        self.waiting.first_two()
    }

    pub(super) fn is_waiting(&self, place: Place) -> bool {
        self.waiting.get(place).is_some()
    }

    /// Whether nobody but the one at `place` looks after the first in line in its stead, unless
    /// that one is late itself. From now on the one at `place` does.
    pub(super) fn stands_in(&mut self, place: Place, now: Nanos) -> bool {
        let others = self.stand_in.filter(|other| *other != place);
        let is_on_time =
            |other: &Place| self.waiting.get(*other).is_some_and(|stand_in| stand_in.alarm > now);
        match others.filter(is_on_time) {
            Some(_) => false,
            None => {
                self.stand_in = Some(place);
                true
            }
        }
    }

    /// Gets in line at this place.
    pub(super) fn wait(&mut self, place: Place, cost: u32, latest: Nanos) {
        // Somebody back in line stands before all who came later.
        let behind = self.waiting.next_from(place);
        let total = match behind {
            // The line may have ended meanwhile, and another one begun without it.
            Some(next) => next.total.saturating_sub(next.cost.into()),
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
        self.waiting.remove(place)
    }

    /// Keeps permits just granted until they are used.
    #[inline]
    pub(super) fn keep(&mut self, place: Place, grant: Grant) {
        self.unused.keep(place, grant, grant.at);
    }

    /// All who wait, in order.
    pub(super) fn all_waiting(&self) -> impl Iterator<Item = (Place, &Waiter)> {
        self.waiting.iter()
    }

    /// Sends away the first in line.
    pub(super) fn send_first_away(&mut self, reason: Reason) -> Option<Waiter> {
        let (place, waiter) = self.waiting.remove_first()?;
        self.sent_away.insert(place, reason);
        Some(waiter)
    }

    /// Sends away the one at `place`.
    pub(super) fn send_away(&mut self, place: Place, reason: Reason) -> Option<Waiter> {
        let waiter = self.waiting.remove(place)?;
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
        self.sent_away.extend(self.unused.drain().map(|place| (place, reason)));
    }
}
