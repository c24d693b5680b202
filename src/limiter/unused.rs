//! Permits that were granted and are not used yet.

use super::line::Place;
use crate::{decision::Grant, nanos::Nanos};
use std::collections::VecDeque;

/// The unused permits of one line.
#[derive(Default)]
pub(super) struct Unused {
    /// Of those who know of them, by when they began to keep: when they were let go or, for who came
    /// to run only later, then.
    known: VecDeque<(Place, Grant, Nanos)>,
    /// Of those who were let go and may come late, by when that was.
    called: VecDeque<(Place, Grant, Nanos)>,
}

impl Unused {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.called.is_empty()
    }

    /// Keeps permits from now on.
    #[inline]
    pub(super) fn keep(&mut self, place: Place, grant: Grant, now: Nanos) {
        self.known.push_back((place, grant, now));
    }

    /// Keeps permits for one who was let go and may come late.
    #[inline]
    pub(super) fn call(&mut self, place: Place, grant: Grant, now: Nanos) {
        self.called.push_back((place, grant, now));
    }

    /// Whoever was let go has come: from now on its permits keep like any other.
    #[inline]
    pub(super) fn come(&mut self, place: Place, now: Nanos) {
        if let Some((_, grant, _)) = remove(&mut self.called, place) {
            self.known.push_back((place, grant, now));
        }
    }

    /// Since when this place has permits it knows of.
    #[inline]
    pub(super) fn known_since(&self, place: Place) -> Option<Nanos> {
        self.known.get(find(&self.known, place)?).map(|(.., since)| *since)
    }

    /// Since when this place has permits and did not come.
    #[inline]
    pub(super) fn called_since(&self, place: Place) -> Option<Nanos> {
        self.called.get(find(&self.called, place)?).map(|(.., since)| *since)
    }

    #[inline]
    pub(super) fn take(&mut self, place: Place) -> Option<Grant> {
        let taken = remove(&mut self.known, place).or_else(|| remove(&mut self.called, place));
        taken.map(|(_, grant, _)| grant)
    }

    /// Takes out the permits of this place if they are the last ones, and as they should be.
    #[inline]
    pub(super) fn take_last_if(
        &mut self,
        place: Place,
        good: impl FnOnce(&Grant) -> bool,
    ) -> Option<Grant> {
        let last = self.known.pop_back_if(|(last, grant, _)| *last == place && good(grant));
        last.map(|(_, grant, _)| grant)
    }

    /// All of them, of each kind the youngest first.
    pub(super) fn all(&self) -> impl Iterator<Item = Grant> {
        let all = self.called.iter().rev().chain(self.known.iter().rev());
        all.map(|(_, grant, _)| *grant)
    }

    /// Does away with all of them; whose they were.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Place> {
        self.known.drain(..).chain(self.called.drain(..)).map(|(place, ..)| place)
    }

    /// Whose have been known the longest, and since when.
    #[inline]
    pub(super) fn oldest_known(&self) -> Option<(Place, Nanos)> {
        self.known.front().map(|(place, _, since)| (*place, *since))
    }

    /// Who has not come for the longest time, and since when.
    #[inline]
    pub(super) fn oldest_called(&self) -> Option<(Place, Nanos)> {
        self.called.front().map(|(place, _, since)| (*place, *since))
    }
}

#[inline]
fn remove(of: &mut VecDeque<(Place, Grant, Nanos)>, place: Place) -> Option<(Place, Grant, Nanos)> {
    of.remove(find(of, place)?)
}

#[inline]
fn find(of: &VecDeque<(Place, Grant, Nanos)>, place: Place) -> Option<usize> {
    // Those who were let go together stand where their places say.
    let guess = place.after(of.front()?.0);
    if of.get(guess).is_some_and(|(other, ..)| *other == place) {
        return Some(guess);
    }
    let in_order = of.binary_search_by_key(&place, |(place, ..)| *place).ok();
    // Out of order only behind somebody who got back in line.
    in_order.or_else(|| of.iter().position(|(other, ..)| *other == place))
}
