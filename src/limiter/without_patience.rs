//! How a call is answered that is let go at once or not at all: in ten nanoseconds, most of which go
//! into reading the clock.

use super::{Attempt, Permit, Terms, lanes::Lanes, shared::Shared, short_way::Missed, used::Used};
use crate::{algorithm::Algorithm, error::RateLimited, nanos::Nanos, store::table::Fingerprint};
use std::sync::Arc;

impl<A: Algorithm> Shared<A> {
    /// Answers a call for one of many keys: [`take`](Self::take) with what a refusal needs out of the way.
    ///
    /// The long way makes no permit itself, so that this one has no room that is known to others: what the
    /// caller does not look at is not even written.
    #[inline(always)]
    pub(super) fn take_now(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: &Terms,
    ) -> Result<Permit<'_, A>, RateLimited> {
        let now = self.now();
        match self.lanes.pour_once(&self.short_way, key, now, terms.cost) {
            Ok(poured) => Ok(Permit::new(self, self.admit_poured(key, poured))),
            Err(missed) => {
                let used = self.take_now_otherwise(key, now, missed, terms);
                used.map(|used| Permit::new(self, used))
            }
        }
    }

    /// The same by a handle of one limit, which most likely is the one for everybody. All but the usual refusal
    /// of that is behind a single call, what it takes to find that of a key as well: its answers would need the registers.
    #[inline(always)]
    pub(super) fn take_one_now(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: &Terms,
    ) -> Result<Permit<'_, A>, RateLimited> {
        let missed = match &self.lanes {
            Lanes::One(single) => {
                let now = self.now();
                match self.lanes.pour_single_once(single, &self.short_way, now, terms.cost) {
                    Ok(poured) => return Ok(Permit::new(self, self.admit_poured(key, poured))),
                    // Written where the caller wants it, not handed on from call to call. Those of many keys
                    // would gain less by that than calls that are let go would lose.
                    Err(Missed::Early(wait)) => return Err(self.refuse(key, wait, *terms)),
                    Err(missed) => Some((now, missed)),
                }
            }
            Lanes::Many(..) => None,
        };
        self.take_one_otherwise(key, missed, terms).map(|used| Permit::new(self, used))
    }

    /// Answers a call that missed the one limit there is on the short way, or for one of many keys.
    #[inline(never)]
    fn take_one_otherwise(
        self: &Arc<Self>,
        key: Fingerprint,
        missed: Option<(Nanos, Missed)>,
        terms: &Terms,
    ) -> Result<Used, RateLimited> {
        if let Some((now, missed)) = missed {
            return self.take_now_otherwise(key, now, missed, terms);
        }
        let now = self.now();
        match self.lanes.pour_once(&self.short_way, key, now, terms.cost) {
            Ok(poured) => Ok(self.admit_poured(key, poured)),
            Err(missed) => self.take_now_otherwise(key, now, missed, terms),
        }
    }

    /// Answers a call that was not let go on the short way.
    #[cold]
    #[inline(never)]
    fn take_now_otherwise(
        self: &Arc<Self>,
        key: Fingerprint,
        now: Nanos,
        missed: Missed,
        terms: &Terms,
    ) -> Result<Used, RateLimited> {
        match self.take_the_long_way(key, now, missed, terms, None) {
            Attempt::Now(result) => result,
            Attempt::Later(_) => unreachable!("a call without patience is answered at once"),
        }
    }
}
