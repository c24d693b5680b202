//! What the lanes answer at once, without a place in line: most calls ask nothing else.

use super::{
    lane::Lane,
    lanes::{Lanes, entry},
    line::Place,
    rules::{Dated, Rules},
    short_way::{Missed, ShortWay},
    single::Single,
};
use crate::{
    algorithm::{Algorithm, Poured},
    decision::{Decision, Outcome},
    nanos::Nanos,
    rate::Rate,
    store::table::Fingerprint,
};

impl<A: Algorithm> Lanes<A> {
    /// Whether a permit can be promised without a look at the clock: there is one for each handle, and
    /// plenty besides.
    #[inline(always)]
    pub(super) fn has_plenty(&self, way: &ShortWay, handles: usize) -> bool {
        match self {
            Lanes::One(single) => way
                .bucket_in_passing()
                .is_some_and(|bucket| single.cell().has_plenty(bucket, handles)),
            Lanes::Many(..) => false,
        }
    }

    /// Somebody looked for the permit that was promised, and did not find it.
    pub(super) fn looked(&self, now: Nanos) {
        if let Lanes::One(single) = self {
            single.cell().looked(now);
        }
    }

    /// Takes permits that are used now, or says how long until they are there, where that can be done
    /// without a lock. Nobody is [beaten](Missed::Beaten) in the end.
    #[inline(always)]
    pub(super) fn pour(
        &self,
        way: &ShortWay,
        key: Fingerprint,
        now: Nanos,
        cost: u32,
    ) -> Result<Dated<Poured>, Missed> {
        loop {
            match self.pour_once(way, key, now, cost) {
                Err(Missed::Beaten) => {}
                decided => return decided,
            }
        }
    }

    /// The same, where it is done if nobody else is faster.
    #[inline(always)]
    pub(super) fn pour_once(
        &self,
        way: &ShortWay,
        key: Fingerprint,
        now: Nanos,
        cost: u32,
    ) -> Result<Dated<Poured>, Missed> {
        match self {
            Lanes::One(single) => self.pour_single_once(single, way, now, cost),
            Lanes::Many(table, _) => {
                way.pour(cost, now, (table, key), |poured, before| self.undo(key, poured, before))
            }
        }
    }

    /// The same of the only lane there is.
    #[inline(always)]
    pub(super) fn pour_single_once(
        &self,
        single: &Single<A>,
        way: &ShortWay,
        now: Nanos,
        cost: u32,
    ) -> Result<Dated<Poured>, Missed> {
        way.pour(cost, now, (single.cell(), now), |poured, before| {
            self.undo(Fingerprint::OVERFLOW, poured, before)
        })
    }

    /// Takes the permit that was [promised](Self::has_plenty), if it is still there.
    #[inline(always)]
    pub(super) fn pour_promised(&self, way: &ShortWay, now: Nanos) -> Option<Dated<Poured>> {
        let Lanes::One(single) = self else { return None };
        loop {
            match self.pour_single_once(single, way, now, 1) {
                Err(Missed::Beaten) => {}
                decided => return decided.ok(),
            }
        }
    }

    /// Undoes a call, if nobody has changed the state since.
    #[cold]
    #[inline(never)]
    fn undo(&self, key: Fingerprint, poured: Dated<Poured>, before: Nanos) -> bool {
        let undone = self.existing(key, |rules, lane| {
            // Under the lock, as after a reset the same state may be that of another call.
            let is_as_left =
                rules.resets == poured.resets && lane.at_rest() == Some(poured.what.empty_at);
            if is_as_left {
                lane.resume(before);
            }
            is_as_left
        });
        undone.unwrap_or(false)
    }

    /// The state of this key, where it can be looked at without a lock.
    #[inline(always)]
    pub(super) fn state(&self, key: Fingerprint) -> Option<Nanos> {
        match self {
            Lanes::One(single) => single.cell().load(),
            // Those without room share no word: who looked for it could find that of a key which comes.
            Lanes::Many(..) if key == Fingerprint::OVERFLOW => None,
            Lanes::Many(table, _) => {
                let word = table.word(key).filter(|word| word.is_still_there())?;
                Some(word.state())
            }
        }
    }

    /// Uses the permits of this place, if that is all there is to do.
    #[inline(always)]
    pub(super) fn commit_quickly(
        &self,
        key: Fingerprint,
        now: Nanos,
        place: Place,
    ) -> Option<Dated<Decision>> {
        let commit = |rules: &Rules<A>, lane: &mut Lane<A>| {
            lane.commit_quickly(rules, now, place).map(|decision| rules.date(decision))
        };
        match self {
            Lanes::One(single) => single.with(|rules, lane| commit(rules, lane)),
            Lanes::Many(table, _) => entry(table, key, commit)?,
        }
    }

    /// Takes permits that are used now, if that is all there is to do. A refusal names the rate.
    #[inline(always)]
    pub(super) fn use_quickly(
        &self,
        key: Fingerprint,
        now: Nanos,
        cost: u32,
    ) -> Option<(Dated<Decision>, Option<Rate>)> {
        let take = |rules: &Rules<A>, lane: &mut Lane<A>| {
            let decision = lane.use_quickly(rules, now, cost)?;
            Some((rules.date(decision), binding_rate(rules, decision)))
        };
        match self {
            Lanes::One(single) => single.with(|rules, lane| take(rules, lane)),
            Lanes::Many(table, _) => entry(table, key, take)?,
        }
    }

    /// Takes permits that are used later, if that is all there is to do.
    #[inline(always)]
    pub(super) fn take_quickly(&self, key: Fingerprint, now: Nanos, cost: u32) -> Option<Place> {
        match self {
            Lanes::One(single) => {
                // Or whoever was promised nothing once would never be again.
                single.cell().looked(now);
                single.with(|rules, lane| lane.take_quickly(rules, now, cost))
            }
            Lanes::Many(table, _) => {
                entry(table, key, |rules, lane| lane.take_quickly(rules, now, cost))?
            }
        }
    }
}

/// The rate that a refusal names.
#[inline(always)]
fn binding_rate<A: Algorithm>(rules: &Rules<A>, decision: Decision) -> Option<Rate> {
    match decision.outcome {
        Outcome::Granted(_) => None,
        _ => rules.algorithm.rate(decision.rate),
    }
}
