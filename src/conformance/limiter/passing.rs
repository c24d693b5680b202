//! As many as the limit has permits are let through, and no more.

use super::{
    caller::{Caller, Fate, Limited},
    probe::Probe,
    scene::{Scene, passed},
};
use crate::conformance::{
    Point,
    violation::{Checked, ensure},
};
use tower_layer::Layer;

impl<L: Layer<Probe, Service: Limited>> Scene<'_, L> {
    /// The next one waits, holds nothing in the inner service, and is let through in time.
    pub(super) async fn lets_through_and_limits(&mut self) -> Checked {
        self.exhaust().await?;
        let mut callers = self.callers(1);
        self.settle(&mut callers).await;
        self.is_stopped(&callers[0])?;
        let reserved = self.watch.reserved();
        ensure(reserved == 0, Point::InnerLast, || format!("{reserved} reserved while it waits"))?;
        self.wait(1, &mut callers).await;
        self.is_served(&mut callers[0], Point::Serves)
    }

    fn is_stopped(&self, caller: &Caller<L::Service>) -> Checked {
        ensure(!caller.is(Fate::Passed), Point::Limits, || {
            format!("{caller}, after {} others", self.permits())
        })
    }

    /// It is one limit for all clones and for all services that the layer makes.
    pub(super) async fn is_shared(&mut self) -> Checked {
        let first = self.layer.layer(self.watch.probe());
        let mut callers = Vec::new();
        for number in 0..self.permits() {
            let service = match number % 2 {
                0 => first.clone(),
                _ => self.layer.layer(self.watch.probe()),
            };
            callers.push(self.caller_of(service));
        }
        self.all_pass(&mut callers, Point::LetsThrough).await?;
        let made = self.layer.layer(self.watch.probe());
        for service in [first.clone(), first, made] {
            let mut callers = vec![self.caller_of(service)];
            self.settle(&mut callers).await;
            self.is_stopped(&callers[0])?;
        }
        Ok(())
    }

    pub(super) async fn a_clone_of_a_ready_service_has_no_permit(&mut self) -> Checked {
        let mut callers = self.readiers(self.permits());
        self.settle(&mut callers).await;
        let Some(ready) = callers.first() else { return Ok(()) };
        let clone = ready.service.clone();
        self.event("the first of them is cloned, and then all are called");
        callers.push(self.caller_of(clone));
        callers.iter_mut().for_each(Caller::goes_on);
        self.settle(&mut callers).await;
        let passed = passed(&callers);
        ensure(passed <= self.permits(), Point::CloneOfReady, || {
            format!("{passed} calls have passed, and not {}", self.permits())
        })
    }

    /// Services that were ready for long are called together with others.
    pub(super) async fn nothing_is_saved_up(&mut self) -> Checked {
        let mut idle = self.readiers(self.permits());
        self.settle(&mut idle).await;
        self.wait(4, &mut []).await;
        let mut callers = self.callers(self.permits());
        self.settle(&mut callers).await;
        self.event("those who were ready are called");
        idle.iter_mut().for_each(Caller::goes_on);
        self.settle(&mut idle).await;
        let passed = passed(&callers) + passed(&idle);
        ensure(passed <= self.permits(), Point::SavedUp, || {
            format!("{passed} calls have passed together, and not {}", self.permits())
        })
    }
}
