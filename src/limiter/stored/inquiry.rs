//! Asking the store, where that makes sense, and no longer than a decision may take.

use super::{
    group::{Decided, Group},
    pipeline::TOO_LATE,
    shared::Shared,
    time::before,
};
use crate::{
    algorithm::Algorithm,
    store::{Order, Store, StoreAsk, StoreError, StoreKey, StoredLimit},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

impl<A: Algorithm, S: Store<A>> Shared<A, S> {
    /// Asks the store about this limit, if it answers these days.
    pub(super) async fn ask(
        &self,
        limit: &Arc<StoredLimit<A>>,
        key: &StoreKey,
        ask: StoreAsk,
    ) -> Result<Decided<A, S>, StoreError> {
        let sent = self.now();
        let under_way = UnderWay::new(&self.asks);
        if under_way.others >= self.settings.max_asks {
            return Err(StoreError::new("as many asks as may be are under way"));
        }
        let meters = &self.pipeline.meters;
        if !self.breaker.lets_through(sent) {
            meters.left_alone();
            return Err(StoreError::new(
                "it has failed several times, and is left alone for a while",
            ));
        }
        let (limit, key) = (Arc::clone(limit), key.clone());
        let group = Group::one(Order { limit, key, ask, is_with_previous: false });
        let end = sent + self.settings.deadline;
        let asked = before(&self.settings.clock, end, self.pipeline.ask(group)).await;
        let decided = asked.unwrap_or_else(|| Err(StoreError::new(TOO_LATE)));
        match &decided {
            Ok(_) => self.breaker.answered(),
            Err(_) => {
                meters.failed();
                self.breaker.failed(self.now());
            }
        }
        decided
    }
}

/// Counts an ask for as long as it is under way.
struct UnderWay<'a> {
    asks: &'a AtomicUsize,
    /// How many there were when it came.
    others: usize,
}

impl<'a> UnderWay<'a> {
    fn new(asks: &'a AtomicUsize) -> Self {
        Self { asks, others: asks.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.asks.fetch_sub(1, Ordering::Relaxed);
    }
}
