//! What is not used goes back, however its holder comes to an end.

use super::{
    caller::{Fate, Limited},
    probe::Probe,
    scene::Scene,
};
use crate::conformance::{
    Point,
    violation::{Checked, ensure},
};
use tower_layer::Layer;

impl<L: Layer<Probe, Service: Limited>> Scene<'_, L> {
    pub(super) async fn ready_services_give_back(&mut self) -> Checked {
        for _ in 0..3 {
            let mut ready = self.readiers(self.permits());
            self.settle(&mut ready).await;
            self.event("they are dropped");
        }
        let mut callers = self.callers(self.permits());
        self.all_pass(&mut callers, Point::ReadyDropped).await
    }

    /// Dropped long before its turn.
    pub(super) async fn a_wait_that_is_dropped_takes_nothing(&mut self) -> Checked {
        self.exhaust().await?;
        let mut waits = self.callers(1);
        self.settle(&mut waits).await;
        drop(waits);
        self.event("it is dropped");
        self.wait(1, &mut []).await;
        let mut callers = self.callers(1);
        self.all_pass(&mut callers, Point::WaitDropped).await
    }

    /// Dropped when its turn had come and nobody had told it yet.
    pub(super) async fn a_turn_that_is_dropped_goes_on(&mut self) -> Checked {
        self.exhaust().await?;
        let mut first = self.callers(1);
        self.settle(&mut first).await;
        let mut second = self.callers(1);
        self.settle(&mut second).await;
        // Nobody looks meanwhile.
        self.wait(1, &mut []).await;
        self.settle(&mut second).await;
        if second[0].is(Fate::Passed) && self.permits() == 1 {
            return Ok(());
        }
        drop((first, second));
        self.event("they are dropped");
        let mut callers = self.callers(1);
        self.all_pass(&mut callers, Point::WaitDropped).await
    }

    /// Where there is a line, the next in it need not wait for the time that was not used.
    pub(super) async fn what_goes_back_is_handed_on(&mut self) -> Checked {
        let mut ready = self.readiers(self.permits());
        self.settle(&mut ready).await;
        let mut next = self.callers(1);
        self.settle(&mut next).await;
        if next[0].is(Fate::Passed) {
            // Readiness takes no permits here.
            return Ok(());
        }
        ready.pop();
        self.event("one that is ready is dropped");
        self.settle(&mut next).await;
        let found = next[0].to_string();
        ensure(next[0].is(Fate::Passed), Point::HandsOn, || found)
    }
}
