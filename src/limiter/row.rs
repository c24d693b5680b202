//! Those who stand in line, in the order of their places.

use super::line::Place;
use std::collections::VecDeque;

/// How far from an end a gap is closed at once.
const NEAR: usize = 16;

/// Things in the order of their places, as a ring: most come last and leave first, and each is found
/// where its place says.
///
/// Whoever leaves from the middle leaves a gap, as closing it would move half of those behind. Gaps
/// are closed when they come to the front, or are as many as those who stand.
pub(super) struct Row<T> {
    /// Neither the first two nor the last of them are gaps.
    spots: VecDeque<Spot<T>>,
    /// How many of them are no gaps.
    standing: usize,
}

struct Spot<T> {
    place: Place,
    /// `None` is a gap.
    stands: Option<T>,
}

impl<T> Row<T> {
    pub(super) fn new() -> Self {
        Self { spots: VecDeque::new(), standing: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.standing
    }

    #[inline]
    pub(super) fn get(&self, place: Place) -> Option<&T> {
        self.spots[self.find(place).ok()?].stands.as_ref()
    }

    #[inline]
    pub(super) fn first(&mut self) -> Option<(Place, &mut T)> {
        let spot = self.spots.front_mut()?;
        Some((spot.place, spot.stands.as_mut()?))
    }

    /// The first two.
    #[inline]
    pub(super) fn first_two(&mut self) -> impl Iterator<Item = &mut T> {
        self.spots.iter_mut().take(2).filter_map(|spot| spot.stands.as_mut())
    }

    /// All of them in order, and their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &T)> {
        self.spots.iter().filter_map(|spot| Some((spot.place, spot.stands.as_ref()?)))
    }

    /// Where the one at this place stands, if there is one or a gap.
    #[inline]
    pub(super) fn index(&self, place: Place) -> Option<usize> {
        self.find(place).ok()
    }

    /// Those from the first on up to this one, if they are few.
    pub(super) fn few_up_to(&self, index: usize) -> Option<impl Iterator<Item = &T>> {
        let few = || self.spots.iter().take(index + 1);
        (index < NEAR).then(|| few().filter_map(|spot| spot.stands.as_ref()))
    }

    /// Who stands there.
    #[inline]
    pub(super) fn at(&mut self, index: usize) -> Option<&mut T> {
        self.spots.get_mut(index)?.stands.as_mut()
    }

    /// The first of those at `place` or behind it.
    pub(super) fn next_from(&self, place: Place) -> Option<&T> {
        let index = match self.find(place) {
            Ok(index) | Err(index) => index,
        };
        self.spots.range(index..).find_map(|spot| spot.stands.as_ref())
    }

    /// Lets one stand at this place, where nobody does.
    pub(super) fn insert(&mut self, place: Place, stands: T) {
        self.standing += 1;
        let stands = Some(stands);
        match self.find(place) {
            Ok(index) => self.spots[index].stands = stands,
            // The last, but for the few that got back in line.
            Err(index) if index == self.spots.len() => self.spots.push_back(Spot { place, stands }),
            Err(index) => self.spots.insert(index, Spot { place, stands }),
        }
    }

    #[inline]
    pub(super) fn remove_first(&mut self) -> Option<(Place, T)> {
        let Spot { place, stands } = self.spots.pop_front()?;
        self.standing -= 1;
        self.close_gaps();
        Some((place, stands?))
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<T> {
        let index = self.find(place).ok()?;
        let gone = self.spots[index].stands.take()?;
        self.standing -= 1;
        if index.min(self.spots.len() - index) < NEAR {
            self.spots.remove(index);
        }
        self.close_gaps();
        Some(gone)
    }

    /// Where a place is, or would be.
    #[inline]
    fn find(&self, place: Place) -> Result<usize, usize> {
        let (Some(first), Some(last)) = (self.spots.front(), self.spots.back()) else {
            return Err(0);
        };
        // Who was let go, and who comes.
        if place < first.place {
            return Err(0);
        }
        if place > last.place {
            return Err(self.spots.len());
        }
        // Places are given out one after the other, and most of them to those who wait.
        let guess = place.after(first.place);
        match self.spots.get(guess) {
            Some(spot) if spot.place == place => Ok(guess),
            _ => self.spots.binary_search_by_key(&place, |spot| spot.place),
        }
    }

    /// Each gap is closed once, so that this takes no longer than making them did.
    #[inline]
    fn close_gaps(&mut self) {
        while self.spots.pop_front_if(|spot| spot.stands.is_none()).is_some() {}
        while self.spots.pop_back_if(|spot| spot.stands.is_none()).is_some() {}
        while self.spots.get(1).is_some_and(|second| second.stands.is_none()) {
            self.spots.remove(1);
        }
        if self.spots.len() > 2 * (self.standing + NEAR) {
            self.spots.retain(|spot| spot.stands.is_some());
        }
    }
}
