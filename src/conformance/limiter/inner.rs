//! An inner service that fails, or is not ready.

use super::{
    caller::{Caller, Limited},
    probe::Probe,
    scene::Scene,
};
use crate::conformance::{
    Point,
    violation::{Checked, ensure},
};
use tower_layer::Layer;

impl<L: Layer<Probe, Service: Limited>> Scene<'_, L> {
    pub(super) async fn an_error_of_a_call_is_passed_on(&mut self) -> Checked {
        self.watch.fail(1);
        self.event("the inner service fails one call");
        let mut failing = self.callers(1);
        self.settle(&mut failing).await;
        self.has_failed(&failing)?;
        let mut next = self.callers(1);
        self.wait(1, &mut next).await;
        self.is_served(&mut next[0], Point::InnerError)
    }

    pub(super) async fn an_error_of_readiness_keeps_no_permit(&mut self) -> Checked {
        self.watch.break_down();
        self.event("the inner service fails in poll_ready");
        let mut failing = self.callers(self.permits());
        self.settle(&mut failing).await;
        self.has_failed(&failing)?;
        drop(failing);
        self.watch.open();
        self.event("it works again, and those who failed are dropped");
        let mut callers = self.callers(self.permits());
        self.all_pass(&mut callers, Point::InnerError).await
    }

    fn has_failed(&self, callers: &[Caller<L::Service>]) -> Checked {
        let other = callers.iter().find(|caller| !caller.has_failed());
        ensure(other.is_none(), Point::InnerError, || {
            other.map_or(String::new(), ToString::to_string)
        })
    }

    pub(super) async fn a_service_that_is_not_ready_gives_back(&mut self) -> Checked {
        self.watch.close();
        self.event("the inner service is not ready");
        let mut stuck = self.callers(self.permits());
        self.settle(&mut stuck).await;
        drop(stuck);
        self.watch.open();
        self.event("it is ready, and those who waited are dropped");
        let mut callers = self.callers(self.permits());
        self.all_pass(&mut callers, Point::InnerNotReady).await
    }

    pub(super) async fn a_service_that_is_stuck_keeps_nothing_for_ever(&mut self) -> Checked {
        self.watch.close();
        self.event("the inner service is not ready");
        let mut stuck = self.callers(self.permits());
        self.settle(&mut stuck).await;
        self.wait(4, &mut []).await;
        self.watch.open();
        self.event("it is ready, and those who waited for it do not look");
        let mut next = self.callers(1);
        self.wait(2, &mut next).await;
        self.is_served(&mut next[0], Point::InnerNotReady)
    }
}
