//! How a call is answered that is let go at once or not at all: in ten nanoseconds, most of which go
//! into reading the clock.

use super::{
    Attempt, Permit, Terms, lanes::Lanes, rules::Dated, shared::Shared, short_way::Missed,
    used::Used,
};
use crate::{
    algorithm::{Algorithm, Poured},
    error::RateLimited,
    nanos::Nanos,
    store::table::Fingerprint,
};
use std::sync::Arc;

impl<A: Algorithm> Shared<A> {
    /// Answers a call for one of many keys: [`take`](Self::take) with what a refusal needs out of the way.
    #[inline(always)]
    pub(super) fn take_now(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: &Terms,
    ) -> Result<Permit<'_, A>, RateLimited> {
        let now = self.now();
        let poured = self.lanes.pour_once(&self.short_way, key, now, terms.cost);
        self.permit(key, now, poured, terms)
    }

    /// The same by a handle of one limit, which most likely is the one for everybody: what it takes to
    /// find that of a key is behind a call, as it would need the registers.
    #[inline(always)]
    pub(super) fn take_one_now(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: &Terms,
    ) -> Result<Permit<'_, A>, RateLimited> {
        let Lanes::One(single) = &self.lanes else {
            return self.take_one_of_many_now(key, terms).map(|used| Permit::new(self, used));
        };
        let now = self.now();
        let poured = self.lanes.pour_single_once(single, &self.short_way, now, terms.cost);
        self.permit(Fingerprint::OVERFLOW, now, poured, terms)
    }

    #[inline(never)]
    fn take_one_of_many_now(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: &Terms,
    ) -> Result<Used, RateLimited> {
        let now = self.now();
        match self.lanes.pour_once(&self.short_way, key, now, terms.cost) {
            Ok(poured) => Ok(self.admit_poured(key, poured)),
            Err(missed) => self.take_the_long_way(key, now, missed, terms),
        }
    }

    /// The permit of the short way, or of the long one.
    ///
    /// The long one makes none itself, so that this one has no room that is known to others: what the
    /// caller does not look at is not even written.
    #[inline(always)]
    fn permit(
        self: &Arc<Self>,
        key: Fingerprint,
        now: Nanos,
        poured: Result<Dated<Poured>, Missed>,
        terms: &Terms,
    ) -> Result<Permit<'_, A>, RateLimited> {
        match poured {
            Ok(poured) => Ok(Permit::new(self, self.admit_poured(key, poured))),
            Err(missed) => {
                let used = self.take_the_long_way(key, now, missed, terms);
                used.map(|used| Permit::new(self, used))
            }
        }
    }

    /// Answers a call that was not let go on the short way.
    #[cold]
    #[inline(never)]
    fn take_the_long_way(
        self: &Arc<Self>,
        key: Fingerprint,
        now: Nanos,
        missed: Missed,
        terms: &Terms,
    ) -> Result<Used, RateLimited> {
        let poured = match missed {
            Missed::Beaten => self.lanes.pour(&self.short_way, key, now, terms.cost),
            Missed::Early(_) | Missed::NoWay => Err(missed),
        };
        match poured {
            Ok(poured) => Ok(self.admit_poured(key, poured)),
            Err(Missed::Early(wait)) => Err(self.refuse(key, wait, *terms)),
            Err(_) => match self.take_under_lock(key, now, terms) {
                Attempt::Now(result) => result,
                Attempt::Later(_) => unreachable!("a call without patience is answered at once"),
            },
        }
    }
}
