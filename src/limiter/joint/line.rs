//! Who stands in which lanes.

use super::limit::{LaneId, Part};
use crate::{limiter::line::Place, nanos::Nanos};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many are counted one by one.
const NEAR: usize = 4;

/// The lines of the lanes that have any.
#[derive(Default)]
pub(super) struct Lines(HashMap<LaneId, Line>);

#[derive(Default)]
struct Line {
    /// Who waits, in order, with what they ask of this lane.
    waiting: BTreeMap<Place, Waiter>,
    /// The costs of all who ever got in line.
    total: u64,
    /// Who was granted permits and has not used them, and until when they keep.
    unused: BTreeSet<(Nanos, Place)>,
}

struct Waiter {
    cost: u32,
    /// The costs of all who ever got in line before, and its own.
    total: u64,
}

impl Lines {
    /// How many wait.
    pub(super) fn waiting(&self, lane: LaneId) -> usize {
        self.0.get(&lane).map_or(0, |line| line.waiting.len())
    }

    /// Who waits before this place, in order.
    pub(super) fn waiting_before(
        &self,
        lane: LaneId,
        before: Place,
    ) -> impl Iterator<Item = Place> {
        let line = self.0.get(&lane).into_iter();
        line.flat_map(move |line| line.waiting.range(..before).map(|(place, _)| *place))
    }

    /// Who is to be served next.
    pub(super) fn first(&self, lane: LaneId) -> Option<Place> {
        let line = self.0.get(&lane)?;
        line.waiting.first_key_value().map(|(place, _)| *place)
    }

    /// Who is to be served after that, and what it asks for.
    pub(super) fn second(&self, lane: LaneId) -> Option<(Place, u32)> {
        let line = self.0.get(&lane)?;
        line.waiting.iter().nth(1).map(|(place, waiter)| (*place, waiter.cost))
    }

    /// About how many permits those take who wait from the second on up to `place`: exact near the
    /// front, and otherwise counting those who left, too.
    pub(super) fn permits_before(&self, lane: LaneId, place: Place) -> u32 {
        let Some(line) = self.0.get(&lane) else {
            return 0;
        };
        let up_to_place = || line.waiting.range(..=place).map(|(_, waiter)| waiter);
        let permits = match up_to_place().nth(NEAR) {
            None => up_to_place().skip(1).map(|waiter| u64::from(waiter.cost)).sum(),
            Some(_) => {
                let total = |waiter: Option<&Waiter>| waiter.map_or(0, |waiter| waiter.total);
                total(line.waiting.get(&place)).saturating_sub(total(up_to_place().next()))
            }
        };
        u32::try_from(permits).unwrap_or(u32::MAX)
    }

    /// Gets in line at this place.
    pub(super) fn wait(&mut self, part: Part, place: Place) {
        let line = self.0.entry(part.lane).or_default();
        // Somebody back in line stands before all who came later.
        let total = match line.waiting.range(place..).next() {
            // The line may have ended meanwhile, and another one begun without it.
            Some((_, next)) => next.total.saturating_sub(next.cost.into()),
            None => {
                line.total += u64::from(part.cost);
                line.total
            }
        };
        line.waiting.insert(place, Waiter { cost: part.cost, total });
    }

    /// Gets out of line.
    pub(super) fn leave(&mut self, lane: LaneId, place: Place) {
        if let Some(line) = self.0.get_mut(&lane) {
            line.waiting.remove(&place);
        }
        self.tidy(lane);
    }

    /// Remembers unused permits.
    pub(super) fn grant(&mut self, lane: LaneId, perishes: Nanos, place: Place) {
        self.0.entry(lane).or_default().unused.insert((perishes, place));
    }

    /// Unused permits are used, or gone.
    pub(super) fn ungrant(&mut self, lane: LaneId, perishes: Nanos, place: Place) {
        if let Some(line) = self.0.get_mut(&lane) {
            line.unused.remove(&(perishes, place));
        }
        self.tidy(lane);
    }

    /// When unused permits of this lane go to whoever needs them, the first of them.
    pub(super) fn perishes(&self, lane: LaneId) -> Option<Nanos> {
        self.0.get(&lane)?.unused.first().map(|(perishes, _)| *perishes)
    }

    fn tidy(&mut self, lane: LaneId) {
        if self.0.get(&lane).is_some_and(|line| line.waiting.is_empty() && line.unused.is_empty()) {
            self.0.remove(&lane);
        }
    }
}
