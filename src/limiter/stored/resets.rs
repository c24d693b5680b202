//! Those in this process who wait at keys that may begin anew.

use super::line::Lane;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// By lane, all who wait there: so many at most.
#[derive(Debug)]
pub(super) struct Resets {
    most: usize,
    waiting: Mutex<HashMap<Lane, Vec<Arc<Notify>>>>,
}

/// Is told when one of its lanes begins anew. Dropped, it is told no more.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    resets: &'a Resets,
    lanes: Vec<Lane>,
    called: Arc<Notify>,
}

impl Resets {
    /// Nobody waits yet, and so many may at each lane.
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default() }
    }

    /// Waits at these lanes from now on; `None` where as many wait already as may.
    pub(super) fn watch(&self, lanes: Vec<Lane>) -> Option<Watch<'_>> {
        let called = Arc::new(Notify::new());
        let mut all = self.lock();
        let waiting = |lane| all.get(lane).map_or(0, Vec::len);
        if lanes.iter().any(|lane| waiting(lane) >= self.most) {
            return None;
        }
        for lane in &lanes {
            all.entry(lane.clone()).or_default().push(Arc::clone(&called));
        }
        drop(all);
        Some(Watch { resets: self, lanes, called })
    }

    /// Sends away all who wait at a lane.
    pub(super) fn reset(&self, lane: &Lane) {
        let waiting = self.lock().remove(lane).unwrap_or_default();
        // Whoever does not look yet finds it out when it does.
        waiting.iter().for_each(|called| called.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, Vec<Arc<Notify>>>> {
        // Nothing of anybody else's runs under it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch<'_> {
    /// Ready once one of its lanes has begun anew.
    pub(super) async fn reset(&self) {
        self.called.notified().await;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut all = self.resets.lock();
        for lane in &self.lanes {
            let Some(waiting) = all.get_mut(lane) else { continue };
            waiting.retain(|called| !Arc::ptr_eq(called, &self.called));
            if waiting.is_empty() {
                all.remove(lane);
            }
        }
    }
}
