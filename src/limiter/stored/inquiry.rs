//! Asking the store, where that makes sense, and no longer than a decision may take.

use super::{
    breaker::Breaker,
    group::{Decided, Group},
    known::Known,
    pipeline::{Pipeline, TOO_LATE},
    settings::Settings,
    time::before,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    invalid::Invalid,
    meters::StoreMeters,
    nanos::Nanos,
    store::{Store, StoreError},
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
    breaker: Breaker,
    /// How many asks are under way.
    asks: AtomicUsize,
    settings: Settings,
}

impl<A: Algorithm, S: Store<A>> Inquiry<A, S> {
    /// Of the runtime in which it is made.
    ///
    /// # Errors
    ///
    /// [`Invalid`] outside of one.
    pub(super) fn new(
        store: S,
        known: Known,
        meters: StoreMeters,
        settings: Settings,
    ) -> Result<Self, Invalid> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Invalid::new("runtime", "none", "a tokio runtime, entered"));
        };
        let pipeline = Pipeline::new(store, known, meters, &settings, runtime);
        let breaker = Breaker::new(settings.failures, settings.pause);
        Ok(Self { pipeline, breaker, asks: AtomicUsize::new(0), settings })
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

    /// Asks the store, if it answers these days.
    pub(super) async fn ask(&self, group: Group<A>) -> Result<Decided<A, S>, StoreError> {
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
        let end = sent + self.settings.deadline;
        let asked = pin!(self.pipeline.ask(group));
        let asked = before(&self.settings.clock, end, asked).await;
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
