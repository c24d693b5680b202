//! Looking at a limit, without taking anything.

use super::{Standing, desk::Wakes, lane::Lane, rules::Rules, shared::Shared, standing};
use crate::{
    algorithm::Algorithm, decision::Decision, error::RateLimited, nanos::Nanos,
    store::table::Fingerprint,
};
use std::sync::Arc;

impl<A: Algorithm> Shared<A> {
    /// What would happen to a call that asks now.
    pub(super) fn peek(&self, key: Fingerprint, cost: u32) -> Decision {
        let known = self.at(key, |desk| desk.peek(cost));
        known.unwrap_or_else(|| {
            let rules = self.lanes.rules();
            self.desk(&rules, &mut Lane::default(), self.now()).peek(cost)
        })
    }

    /// How the limit of this key stands, which was asked just now, and may have refused so.
    pub(super) fn standing(
        &self,
        key: Fingerprint,
        refusal: Option<&RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        let name = self.settings.name.as_deref();
        let (bucket, rate) = (self.short_way.bucket(), self.short_way.rate());
        if let (Some(bucket), Some(rate), Some(full_after)) =
            (bucket, rate, refusal.and_then(|refusal| refusal.full_after(self.number_of(key))))
        {
            return tell(Standing::of_bucket(name, rate, bucket.look(full_after, Nanos::ZERO)));
        }
        let now = self.now();
        if let (Some(bucket), Some(rate), Some(empty_at)) = (bucket, rate, self.lanes.state(key)) {
            return tell(Standing::of_bucket(name, rate, bucket.look(empty_at, now)));
        }
        self.standing_under_lock(key, now, tell);
    }

    /// How the limit stands with a call in it that it let go just now, and that may know it.
    pub(super) fn standing_with(
        &self,
        key: Fingerprint,
        look: Option<Decision>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        match (look, self.short_way.rate()) {
            (Some(decision), Some(rate)) => {
                tell(Standing::of_bucket(self.settings.name.as_deref(), rate, decision));
            }
            _ => self.standing(key, None, tell),
        }
    }

    #[inline(never)]
    fn standing_under_lock(
        &self,
        mut key: Fingerprint,
        now: Nanos,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        let look = |rules: &Rules<A>, lane: &mut Lane<A>| {
            // Under the same lock, as each lock is time that every response takes.
            let algorithm = Arc::clone(lane.own().unwrap_or(&rules.algorithm));
            match lane.standing_quickly(rules, now) {
                Some(decision) => (algorithm, decision, Wakes::default()),
                None => {
                    let mut desk = self.desk(rules, lane, now);
                    (algorithm, desk.standing(), desk.wakes)
                }
            }
        };
        // A key that is not kept may be one of those that share a limit, for want of room.
        let (algorithm, decision, wakes) = match self.lanes.existing(key, look) {
            Some(known) => known,
            None => match self.lanes.with(&mut key, now, look) {
                Ok(found) => {
                    self.lanes.forget(key, now);
                    found
                }
                Err(_) => return self.policies(tell),
            },
        };
        wakes.wake();
        let name = self.settings.name.as_deref();
        standing::tell(name, &*algorithm, Some(decision), &mut |limit| tell(limit));
    }

    /// What the limit publishes of itself.
    pub(super) fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        let name = self.settings.name.as_deref();
        standing::tell(name, &*self.lanes.rules().algorithm, None, &mut |limit| tell(limit));
    }
}
