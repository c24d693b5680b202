//! Keys that do not wait for each other.

use super::{
    caller::{Caller, Limited},
    probe::Probe,
    scene::Scene,
};
use crate::conformance::{Point, violation::Checked};
use tower_layer::Layer;

/// Whose call it is, by its number: those of the first ten thousand are of one key.
pub(super) fn key_of(number: &u32) -> u32 {
    number / OTHER_KEY
}

const OTHER_KEY: u32 = 10_000;

impl<L: Layer<Probe, Service: Limited>> Scene<'_, L> {
    /// While one key is used up and calls wait for it.
    pub(super) async fn other_keys_do_not_wait(&mut self) -> Checked {
        self.exhaust().await?;
        let mut waits = self.callers(3);
        self.settle(&mut waits).await;
        let service = self.layer.layer(self.watch.probe());
        let mut other = [Caller::new(OTHER_KEY, service)];
        self.event(format!("call {OTHER_KEY} is of another key"));
        self.all_pass(&mut other, Point::Keys).await
    }
}
