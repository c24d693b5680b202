//! Metrics, as the `metrics` crate sees them. Keys are never in them.
//!
//! The handles are made when a limiter is built, and do nothing where no recorder was installed by
//! then. Some of them are used under the lock of a lane, so that a gauge is never behind its line: a
//! recorder must not ask the limiter it watches.

use crate::{
    error::{RateLimited, Reason},
    nanos::Nanos,
    store::{StoreError, TooLate},
};
use metrics::{
    Counter, Gauge, Histogram, Label, SharedString, Unit, counter, describe_counter,
    describe_gauge, describe_histogram, gauge, histogram,
};
use std::{error::Error, sync::Arc, time::Duration};

const ADMITTED: &str = "rate_limit_admitted_total";
const REFUSED: &str = "rate_limit_refused_total";
const UNENFORCED: &str = "rate_limit_unenforced_total";
const WAIT: &str = "rate_limit_wait_seconds";
const WAITING: &str = "rate_limit_waiting";
const KEYS: &str = "rate_limit_keys";
const EVICTED: &str = "rate_limit_evicted_total";
const BATCHES: &str = "rate_limit_store_batches_total";
const BATCH_ASKS: &str = "rate_limit_store_batch_asks";
const FAILURES: &str = "rate_limit_store_failures_total";
const SPARED: &str = "rate_limit_store_spared_total";
const FALLBACKS: &str = "rate_limit_store_fallbacks_total";
const OPEN_BREAKERS: &str = "rate_limit_store_open_breakers";

/// A call that was refused passes all the same. Whoever lets it through does not know beforehand of
/// which limits it will be told, so the series begin with their first events.
pub(crate) fn unenforced(refusal: &RateLimited) {
    describe_counter!(UNENFORCED, Unit::Count, "Calls that were refused, and passed all the same");
    let reason = match refusal.reason() {
        Reason::UsedUp => "used_up",
        Reason::Exhausted => "exhausted",
        Reason::TooCostly => "too_costly",
        Reason::QueueFull => "queue_full",
        Reason::TooManyKeys => "too_many_keys",
        Reason::Cancelled => "cancelled",
        Reason::Closed => "closed",
        Reason::Unavailable => "unavailable",
        Reason::NoKey => "no_key",
        Reason::Anonymous => "anonymous",
        Reason::UnknownLimit => "unknown_limit",
        Reason::NotTogether => "not_together",
    };
    let mut labels = labels(refusal.limit().map(Arc::from).as_ref());
    labels.push(Label::from_static_parts("reason", reason));
    counter!(UNENFORCED, labels).increment(1);
}

/// Counts the calls of one limit.
pub(crate) struct Meters {
    admitted: Counter,
    refused: Refused,
    wait: Histogram,
    waiting: Gauge,
}

/// One counter for each reason, all of them there from the start: a series that begins with its
/// first event hides that event from whoever asks for its increase.
struct Refused {
    used_up: Counter,
    exhausted: Counter,
    too_costly: Counter,
    queue_full: Counter,
    too_many_keys: Counter,
    cancelled: Counter,
    closed: Counter,
    unavailable: Counter,
}

impl Meters {
    pub(crate) fn new(limit: Option<&Arc<str>>) -> Self {
        describe_counter!(ADMITTED, Unit::Count, "Calls that used their permits");
        describe_counter!(REFUSED, Unit::Count, "Calls that were not let through, by reason");
        describe_histogram!(
            WAIT,
            Unit::Seconds,
            "How long calls stood in line until they were let go"
        );
        describe_gauge!(WAITING, Unit::Count, "Calls that stand in line");
        let refused = |reason: &'static str| {
            let mut labels = labels(limit);
            labels.push(Label::from_static_parts("reason", reason));
            counter!(REFUSED, labels)
        };
        Self {
            admitted: counter!(ADMITTED, labels(limit)),
            refused: Refused {
                used_up: refused("used_up"),
                exhausted: refused("exhausted"),
                too_costly: refused("too_costly"),
                queue_full: refused("queue_full"),
                too_many_keys: refused("too_many_keys"),
                cancelled: refused("cancelled"),
                closed: refused("closed"),
                unavailable: refused("unavailable"),
            },
            wait: histogram!(WAIT, labels(limit)),
            waiting: gauge!(WAITING, labels(limit)),
        }
    }

    /// A call uses its permits.
    #[inline]
    pub(crate) fn admitted(&self) {
        self.admitted.increment(1);
    }

    /// A call was not let through.
    pub(crate) fn refused(&self, reason: Reason) {
        let counter = match reason {
            Reason::UsedUp => &self.refused.used_up,
            Reason::Exhausted => &self.refused.exhausted,
            Reason::TooCostly => &self.refused.too_costly,
            Reason::QueueFull => &self.refused.queue_full,
            Reason::TooManyKeys => &self.refused.too_many_keys,
            Reason::Cancelled => &self.refused.cancelled,
            Reason::Closed => &self.refused.closed,
            Reason::Unavailable => &self.refused.unavailable,
            // Such a request never gets as far as a limit.
            Reason::NoKey | Reason::Anonymous | Reason::UnknownLimit | Reason::NotTogether => {
                return;
            }
        };
        counter.increment(1);
    }

    /// A call was let go that stood in line.
    pub(crate) fn waited(&self, waited: Nanos) {
        self.wait.record(Duration::from(waited));
    }

    /// For one more line of the limit.
    pub(crate) fn line(&self) -> LineMeter {
        LineMeter(self.waiting.clone())
    }
}

/// Counts those who stand in a line.
pub(crate) struct LineMeter(Gauge);

impl LineMeter {
    /// A call gets in line, and stands there until this is dropped.
    pub(crate) fn joined(&self) -> InLine {
        self.0.increment(1);
        InLine(self.0.clone())
    }
}

/// A call in line. It is counted out when dropped, so that no way out of the line is forgotten.
pub(crate) struct InLine(Gauge);

impl Drop for InLine {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Counts the keys of one limit.
#[derive(Debug)]
pub(crate) struct KeyMeter {
    keys: Gauge,
    evicted: Counter,
}

impl KeyMeter {
    pub(crate) fn new(limit: Option<&Arc<str>>) -> Self {
        describe_gauge!(KEYS, Unit::Count, "Keys that are kept");
        describe_counter!(
            EVICTED,
            Unit::Count,
            "Keys that were forgotten as their state equalled that of a new one"
        );
        Self { keys: gauge!(KEYS, labels(limit)), evicted: counter!(EVICTED, labels(limit)) }
    }

    /// One more key is kept.
    pub(crate) fn kept(&self) {
        self.keys.increment(1);
    }

    /// So many keys were forgotten.
    pub(crate) fn evicted(&self, keys: usize) {
        if keys > 0 {
            self.gone(keys);
            // No usize is wider.
            self.evicted.increment(keys as u64);
        }
    }

    /// So many keys went with their limiter.
    pub(crate) fn gone(&self, keys: usize) {
        // Exact up to 2^53 keys.
        self.keys.decrement(keys as f64);
    }
}

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

/// Several limits without a name share their series, and add up.
fn labels(limit: Option<&Arc<str>>) -> Vec<Label> {
    let label = |limit: &Arc<str>| Label::new("limit", SharedString::from(Arc::clone(limit)));
    limit.map(label).into_iter().collect()
}
