//! Asking the store, where that makes sense, and no longer than a decision may take.

use super::{
    breaker::Breaker,
    group::{Decided, Group},
    known::Known,
    pipeline::{Pipeline, Way},
    settings::Settings,
};
use crate::{
    algorithm::Algorithm,
    clock::{Clock, before_since},
    invalid::Invalid,
    meters::StoreMeters,
    nanos::Nanos,
    store::{Store, StoreError, TooLate},
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::runtime::Handle;

/// A store, and how it has fared lately.
pub(super) struct Inquiry<A: Algorithm, S: Store<A>> {
    pub(super) pipeline: Arc<Pipeline<A, S>>,
    /// How many asks are under way.
    asks: AtomicUsize,
    settings: Settings,
}

impl<A: Algorithm, S: Store<A>> Inquiry<A, S> {
    /// Of the runtime in which it is made. What is said of it bears the name of the limit, if it is one, and of what
    /// happens [on failure](super::OnFailure).
    ///
    /// # Errors
    ///
    /// [`Invalid`] outside of one.
    pub(super) fn new(
        store: S,
        known: Known,
        on_failure: &'static str,
        limit: Option<Arc<str>>,
        settings: Settings,
    ) -> Result<Self, Invalid> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Invalid::new("runtime", "none", "a tokio runtime, entered"));
        };
        let meters = StoreMeters::new(limit.as_ref(), on_failure);
        let breaker = Breaker::new(settings.failures, settings.pause, meters.breaker(), limit);
        let pipeline = Pipeline::new(store, known, meters, breaker, &settings, runtime);
        Ok(Self { pipeline, asks: AtomicUsize::new(0), settings })
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    pub(super) fn now(&self) -> Nanos {
        self.settings.clock.now()
    }

    /// When what is asked now is answered at the latest.
    pub(super) fn answer_by(&self) -> Nanos {
        self.now() + self.settings.deadline
    }

    pub(super) fn known(&self) -> &Known {
        &self.pipeline.known
    }

    /// Asks the store at this instant, if it answers these days.
    pub(super) fn ask(
        &self,
        group: Group<A>,
        sent: Nanos,
    ) -> impl Future<Output = Result<Decided<A, S>, StoreError>> {
        // Not in the future, which would have room for the group as long as it is there.
        let asked = self.send(group, sent);
        async move {
            let Sent { under_way: _under_way, shard, way } = asked?;
            // Otherwise it is one of many, and the driver tells of all of them.
            let is_alone = matches!(way, Way::Alone(_));
            let decided = match way {
                Way::InQueue { is_timed: true, .. } => way.await,
                _ => {
                    let end = sent + self.settings.deadline;
                    let answered = before_since(self.clock(), Some(sent), end, pin!(way)).await;
                    answered.unwrap_or_else(|| Err(StoreError::new(TooLate)))
                }
            };
            if is_alone {
                self.pipeline.breaker.tell(shard, &decided, || self.now());
            }
            if let Err(error) = &decided {
                self.pipeline.meters.failed(error);
            }
            decided
        }
    }

    fn send(&self, group: Group<A>, now: Nanos) -> Result<Sent<'_, A, S>, StoreError> {
        let under_way = UnderWay::new(&self.asks);
        if under_way.others >= self.settings.max_asks {
            self.pipeline.meters.too_many();
            return Err(StoreError::new("as many asks as may be are under way"));
        }
        let shard = self.pipeline.shard(&group);
        if !self.pipeline.breaker.lets_through(shard, now) {
            self.pipeline.meters.left_alone();
            return Err(StoreError::new(
                "it has failed several times, and is left alone for a while",
            ));
        }
        Ok(Sent { under_way, shard, way: self.pipeline.ask(group, shard, now) })
    }
}

/// An ask on its way.
struct Sent<'a, A: Algorithm, S: Store<A>> {
    under_way: UnderWay<'a>,
    shard: u32,
    way: Way<A, S>,
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
