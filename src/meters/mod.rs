//! Metrics, as the `metrics` crate sees them. Keys are never in them.
//!
//! The handles are made when a limiter is built, and do nothing where no recorder was installed by
//! then. Some of them are used under the lock of a lane, so that a gauge is never behind its line: a
//! recorder must not ask the limiter it watches.

mod store;

pub(crate) use store::{BreakerMeter, OpenBreaker, StoreMeters};

use crate::{
    error::{RateLimited, Reason},
    nanos::Nanos,
};
use metrics::{
    Counter, Gauge, Histogram, Label, SharedString, Unit, counter, describe_counter,
    describe_gauge, describe_histogram, gauge, histogram,
};
use std::{sync::Arc, time::Duration};

const ADMITTED: &str = "rate_limit_admitted_total";
const REFUSED: &str = "rate_limit_refused_total";
const UNENFORCED: &str = "rate_limit_unenforced_total";
const WAIT: &str = "rate_limit_wait_seconds";
const WAITING: &str = "rate_limit_waiting";
const KEYS: &str = "rate_limit_keys";
const EVICTED: &str = "rate_limit_evicted_total";

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

/// Several limits without a name share their series, and add up.
fn labels(limit: Option<&Arc<str>>) -> Vec<Label> {
    let label = |limit: &Arc<str>| Label::new("limit", SharedString::from(Arc::clone(limit)));
    limit.map(label).into_iter().collect()
}
