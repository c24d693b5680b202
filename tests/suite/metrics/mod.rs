//! What the metrics say.

mod calls;
mod keys;
mod line;
mod names;
mod joint;
mod stored;
mod stored_joint;
mod enforcing;

use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::{collections::BTreeMap, time::Duration};
use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One per 100 ms.
fn paced() -> LeakyBucket {
    LeakyBucket::new(Rate::new(1, ms(100)).unwrap()).capacity(1).unwrap()
}

/// A limit that is watched, and whoever reads what it says.
pub(crate) struct Watched<L> {
    pub(crate) limiter: L,
    snapshotter: Snapshotter,
    /// Reading a series sets it back to nothing, so they are added up here.
    pub(crate) totals: BTreeMap<String, f64>,
    waits: Vec<f64>,
    /// How many asks travelled in each batch.
    batches: Vec<f64>,
}

pub(crate) fn watched<L>(build: impl FnOnce() -> L) -> Watched<L> {
    let recorder = DebuggingRecorder::new();
    let limiter = with_local_recorder(&recorder, build);
    let snapshotter = recorder.snapshotter();
    Watched {
        limiter,
        snapshotter,
        totals: BTreeMap::new(),
        waits: Vec::new(),
        batches: Vec::new(),
    }
}

fn watched_pace() -> Watched<RateLimiter<LeakyBucket>> {
    watched(|| RateLimiter::builder(paced()).name("pace").build())
}

/// What of all that the series counts.
fn why(key: &metrics::Key) -> &str {
    let why = key.labels().find(|label| ["reason", "on_failure"].contains(&label.key()));
    why.map_or("", |label| label.value())
}

impl<L> Watched<L> {
    pub(crate) fn read(&mut self) {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let key = key.key();
            let name = key.name().strip_prefix("rate_limit_").unwrap();
            let series = format!("{name} {}", why(key)).trim_end().to_owned();
            let more = match value {
                DebugValue::Counter(more) => f64::from(u32::try_from(more).unwrap()),
                DebugValue::Gauge(more) => more.into_inner(),
                DebugValue::Histogram(values) => {
                    let list = match name {
                        "wait_seconds" => &mut self.waits,
                        _ => &mut self.batches,
                    };
                    list.extend(values.into_iter().map(|value| value.into_inner()));
                    continue;
                }
            };
            *self.totals.entry(series).or_default() += more;
        }
    }

    /// All that is not zero, and how many calls were let go after a wait.
    fn says(&mut self) -> String {
        self.read();
        let totals = self.totals.iter().filter(|(_, total)| **total != 0.0);
        let mut says: Vec<_> = totals.map(|(series, total)| format!("{series}={total}")).collect();
        says.extend((!self.batches.is_empty()).then(|| format!("batches={:?}", self.batches)));
        says.extend((!self.waits.is_empty()).then(|| format!("waits={:?}", self.waits)));
        says.join(", ")
    }
}
