//! Where the lanes are kept: a single one, or one for each key.

use super::{
    lane::Lane,
    rules::{Gate, Rules},
    single::Single,
};
use crate::{
    algorithm::Algorithm,
    error::Reason,
    key::Key,
    nanos::Nanos,
    store::{
        table::KeptKey,
        table::{Fingerprint, Full, Seed, Table},
    },
};
use std::sync::Arc;

/// What happens to a new key when the maximum number of keys is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum AtCapacity {
    /// All keys that find no room share one limit, as if they were a single key.
    #[default]
    ShareOne,
    /// Calls for keys that find no room are refused with
    /// [`TooManyKeys`](crate::Reason::TooManyKeys).
    Refuse,
}

pub(super) enum Lanes<A: Algorithm> {
    One(Single<A>),
    Many(Table<Lane<A>, Rules<A>>, AtCapacity),
}

impl<A: Algorithm> Lanes<A> {
    /// How the lanes know a key.
    #[inline]
    pub(super) fn fingerprint(&self, key: &(impl Key + ?Sized)) -> Fingerprint {
        match self {
            Lanes::One(_) => Fingerprint::OVERFLOW,
            Lanes::Many(table, _) => table.fingerprint(key),
        }
    }

    /// How the lanes know a key, with the key itself for a handle of it, where keys are listed.
    pub(super) fn named(&self, key: &(impl Key + ?Sized)) -> (Fingerprint, Option<KeptKey>) {
        match self {
            Lanes::One(_) => (Fingerprint::OVERFLOW, None),
            Lanes::Many(table, _) => table.named(key),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Lanes::One(_) => 1,
            Lanes::Many(table, _) => table.len(),
        }
    }

    /// The keys that are kept, if they are remembered.
    pub(super) fn names(&self) -> Option<Vec<KeptKey>> {
        match self {
            Lanes::One(_) => None,
            Lanes::Many(table, _) => table.names(),
        }
    }

    pub(super) fn rules(&self) -> Rules<A> {
        match self {
            Lanes::One(single) => single.rules(),
            Lanes::Many(table, _) => table.rules(),
        }
    }

    /// Works on the lane of this key. Where there is no room for it, `key` becomes the one that
    /// such keys share.
    ///
    /// # Errors
    ///
    /// When there is no room, and such keys are refused.
    pub(super) fn with<T>(
        &self,
        key: &mut Fingerprint,
        now: Nanos,
        work: impl FnOnce(&Rules<A>, &mut Lane<A>) -> T,
    ) -> Result<T, Reason> {
        let (table, at_capacity) = match self {
            Lanes::One(single) => return Ok(single.with(|rules, lane| work(rules, lane))),
            Lanes::Many(table, at_capacity) => (table, at_capacity),
        };
        // Asked for twice at most, and used once.
        let mut work = Some(work);
        let mut once = |rules: &Rules<A>, lane: &mut Lane<A>| {
            work.take().map(|work| tidily(rules, lane, work))
        };
        let mut result = table.entry(*key, now, &mut once);
        if let (Err(Full), AtCapacity::ShareOne) = (&result, at_capacity) {
            *key = Fingerprint::OVERFLOW;
            result = table.entry(*key, now, &mut once);
        }
        result.ok().flatten().ok_or(Reason::TooManyKeys)
    }

    /// The same for a call, which needs no room while the gate is open or closed: nothing is kept of it
    /// then.
    ///
    /// # Errors
    ///
    /// When calls are limited, there is no room, and such keys are refused.
    pub(super) fn for_call<T>(
        &self,
        key: &mut Fingerprint,
        now: Nanos,
        work: impl FnOnce(&Rules<A>, &mut Lane<A>) -> T,
    ) -> Result<T, Reason> {
        // Used by whichever comes first.
        let mut work = Some(work);
        let mut once =
            |rules: &Rules<A>, lane: &mut Lane<A>| work.take().map(|work| work(rules, lane));
        let worked = match self.with(key, now, &mut once) {
            Err(no_room) => match self.rules() {
                rules if rules.gate == Gate::Working => return Err(no_room),
                rules => once(&rules, &mut Lane::default()),
            },
            Ok(worked) => worked,
        };
        worked.ok_or(Reason::TooManyKeys)
    }

    /// Works on the lane of this key, if there is one.
    #[inline(always)]
    pub(super) fn existing<T>(
        &self,
        key: Fingerprint,
        work: impl FnOnce(&Rules<A>, &mut Lane<A>) -> T,
    ) -> Option<T> {
        match self {
            Lanes::One(single) => Some(single.with(|rules, lane| work(rules, lane))),
            Lanes::Many(table, _) => entry(table, key, work),
        }
    }

    /// Works on the lane of this key and no other.
    ///
    /// # Errors
    ///
    /// When there is no room for it.
    pub(super) fn with_own<T>(
        &self,
        key: Fingerprint,
        now: Nanos,
        work: impl FnOnce(&Rules<A>, &mut Lane<A>) -> T,
    ) -> Result<T, Reason> {
        match self {
            Lanes::One(single) => Ok(single.with(|rules, lane| work(rules, lane))),
            Lanes::Many(table, _) => {
                let worked = table.entry(key, now, work);
                worked.map_err(|Full| Reason::TooManyKeys)
            }
        }
    }

    /// The arithmetic of this key.
    pub(super) fn algorithm_of(&self, key: Fingerprint) -> Arc<A> {
        let own = self.existing(key, |_, lane| lane.own().cloned()).flatten();
        own.unwrap_or_else(|| self.rules().algorithm)
    }

    /// Works on all lanes, and on the rules first.
    pub(super) fn all(
        &self,
        mut change: impl FnMut(&mut Rules<A>),
        mut work: impl FnMut(&Rules<A>, &mut Lane<A>),
    ) {
        match self {
            Lanes::One(single) => single.change(|rules, lane| {
                change(rules);
                work(rules, lane);
            }),
            Lanes::Many(table, _) => {
                table.all(change, |rules, lane| tidily(rules, lane, &mut work));
            }
        }
    }

    /// The same without those that are at rest.
    pub(super) fn all_in_use(
        &self,
        change: impl FnMut(&mut Rules<A>),
        mut work: impl FnMut(&Rules<A>, &mut Lane<A>),
    ) {
        match self {
            Lanes::One(_) => self.all(change, work),
            Lanes::Many(table, _) => {
                table.all_but_words(change, |rules, lane| tidily(rules, lane, &mut work));
            }
        }
    }

    /// Looks at all lanes there are of keys, shard by shard.
    pub(super) fn each(&self, look: impl FnMut(Fingerprint, &Rules<A>, &Lane<A>)) {
        if let Lanes::Many(table, _) = self {
            table.each(look);
        }
    }

    /// Goes on with the state of a key from before; false when there is one.
    pub(super) fn restore(&self, key: Fingerprint, state: A::State) -> bool {
        match self {
            Lanes::One(single) => {
                single.with(|_, lane| *lane = Lane::with_state(state));
                true
            }
            Lanes::Many(table, _) => {
                let due = table.rules().algorithm.new_at(&state);
                table.restore(key, Lane::with_state(state), due)
            }
        }
    }

    /// The seed of the fingerprints, where there are keys.
    pub(super) fn seed(&self) -> Option<Seed> {
        match self {
            Lanes::One(_) => None,
            Lanes::Many(table, _) => Some(table.seed()),
        }
    }

    /// Forgets all lanes that equal new ones.
    pub(super) fn evict(&self, now: Nanos) -> usize {
        match self {
            Lanes::One(_) => 0,
            Lanes::Many(table, _) => table.evict(now),
        }
    }

    /// Forgets the lane of this key if it equals a new one.
    pub(super) fn forget(&self, key: Fingerprint, now: Nanos) {
        if let Lanes::Many(table, _) = self {
            table.forget(key, now);
        }
    }
}

/// Works on the lane of this key, if there is one.
#[inline(always)]
pub(super) fn entry<A: Algorithm, T>(
    table: &Table<Lane<A>, Rules<A>>,
    key: Fingerprint,
    work: impl FnOnce(&Rules<A>, &mut Lane<A>) -> T,
) -> Option<T> {
    table.existing(key, |rules, lane| tidily(rules, lane, work))
}

/// Works on a lane, and does away with its line if nobody has a place there any more.
#[inline(always)]
fn tidily<A: Algorithm, T>(
    rules: &Rules<A>,
    lane: &mut Lane<A>,
    work: impl FnOnce(&Rules<A>, &mut Lane<A>) -> T,
) -> T {
    let result = work(rules, lane);
    lane.tidy();
    result
}
