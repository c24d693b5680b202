//! What is counted of the store of a limiter.

use super::labels;
use crate::store::{StoreError, TooLate};
use metrics::{
    Counter, Gauge, Histogram, Label, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};
use std::{error::Error, sync::Arc};

const BATCHES: &str = "rate_limit_store_batches_total";
const BATCH_ASKS: &str = "rate_limit_store_batch_asks";
const FAILURES: &str = "rate_limit_store_failures_total";
const SPARED: &str = "rate_limit_store_spared_total";
const FALLBACKS: &str = "rate_limit_store_fallbacks_total";
const OPEN_BREAKERS: &str = "rate_limit_store_open_breakers";

/// Counts what a limiter asks its store.
pub(crate) struct StoreMeters {
    batches: Counter,
    batch_asks: Histogram,
    failed: Counter,
    too_late: Counter,
    remembered: Counter,
    left_alone: Counter,
    too_many: Counter,
    fallbacks: Counter,
    open_breakers: Gauge,
}

impl StoreMeters {
    /// Of a limit, if it is one, and of what happens to calls that the store does not answer.
    pub(crate) fn new(limit: Option<&Arc<str>>, on_failure: &'static str) -> Self {
        describe_counter!(BATCHES, Unit::Count, "Batches that were sent to the store");
        describe_histogram!(BATCH_ASKS, Unit::Count, "How many asks travelled in a batch");
        describe_counter!(FAILURES, Unit::Count, "Asks that the store did not answer, by reason");
        describe_counter!(SPARED, Unit::Count, "Asks that were not sent to the store, by reason");
        describe_counter!(FALLBACKS, Unit::Count, "Calls that were decided without the store");
        describe_gauge!(OPEN_BREAKERS, Unit::Count, "Shards of the store that are left alone");
        let labelled = |name: &'static str, label: &'static str, value: &'static str| {
            let mut labels = labels(limit);
            labels.push(Label::from_static_parts(label, value));
            counter!(name, labels)
        };
        Self {
            batches: counter!(BATCHES, labels(limit)),
            batch_asks: histogram!(BATCH_ASKS, labels(limit)),
            failed: labelled(FAILURES, "reason", "failed"),
            too_late: labelled(FAILURES, "reason", "too_late"),
            remembered: labelled(SPARED, "reason", "remembered"),
            left_alone: labelled(SPARED, "reason", "left_alone"),
            too_many: labelled(SPARED, "reason", "too_many"),
            fallbacks: labelled(FALLBACKS, "on_failure", on_failure),
            open_breakers: gauge!(OPEN_BREAKERS, labels(limit)),
        }
    }

    /// So many asks travel together.
    pub(crate) fn batch(&self, asks: usize) {
        self.batches.increment(1);
        // Exact up to 2^53 asks.
        self.batch_asks.record(asks as f64);
    }

    /// The store did not answer an ask.
    pub(crate) fn failed(&self, error: &StoreError) {
        match error.source().is_some_and(|cause| cause.is::<TooLate>()) {
            true => self.too_late.increment(1),
            false => self.failed.increment(1),
        }
    }

    /// A call is decided by what was said for when there is no answer.
    pub(crate) fn fell_back(&self) {
        self.fallbacks.increment(1);
    }

    /// A call was refused as the store had refused one before.
    pub(crate) fn remembered(&self) {
        self.remembered.increment(1);
    }

    /// An ask was not sent as the store had failed several times.
    pub(crate) fn left_alone(&self) {
        self.left_alone.increment(1);
    }

    /// An ask was not sent as too many were under way.
    pub(crate) fn too_many(&self) {
        self.too_many.increment(1);
    }

    /// For the breakers of all shards.
    pub(crate) fn breaker(&self) -> BreakerMeter {
        BreakerMeter(self.open_breakers.clone())
    }
}

/// Counts the shards of a store that are left alone.
#[derive(Debug)]
pub(crate) struct BreakerMeter(Gauge);

impl BreakerMeter {
    /// One more is left alone, until this is dropped.
    pub(crate) fn opened(&self) -> OpenBreaker {
        self.0.increment(1);
        OpenBreaker(self.0.clone())
    }
}

/// A shard that is left alone. It is counted out when dropped, also with its limiter.
#[derive(Debug)]
pub(crate) struct OpenBreaker(Gauge);

impl Drop for OpenBreaker {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
