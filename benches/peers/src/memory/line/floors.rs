//! The least that waiting can cost: taking a slot, and sleeping until it comes.

use crate::waiting::Wait;
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire},
        },
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// One limit, or one of many.
#[derive(Clone)]
pub struct SlotAndSleep {
    slots: Arc<Slots>,
    key: usize,
}

struct Slots {
    start: Instant,
    interval: u64,
    /// The next slot of each key, in nanoseconds since the start.
    next: Vec<AtomicU64>,
}

impl SlotAndSleep {
    /// So many limits of one call in each interval.
    pub fn many(keys: usize, interval: Duration) -> impl Iterator<Item = Self> {
        let next = (0..keys).map(|_| AtomicU64::new(0)).collect();
        let interval = interval.as_nanos() as u64;
        let slots = Arc::new(Slots { start: Instant::now(), interval, next });
        (0..keys).map(move |key| Self { slots: Arc::clone(&slots), key })
    }
}

impl Wait for SlotAndSleep {
    async fn wait(&mut self) {
        let Slots { start, interval, next } = &*self.slots;
        let now = start.elapsed().as_nanos() as u64;
        let after = |slot: u64| Some(slot.max(now) + interval);
        let slot = next[self.key].fetch_update(AcqRel, Acquire, after);
        let slot = slot.expect("there always is a next one");
        if slot > now {
            sleep_until(*start + Duration::from_nanos(slot)).await;
        }
    }
}
