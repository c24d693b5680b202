//! A service that refuses is not dead.

use super::{
    caller::{Caller, Fate, Limited},
    probe::Probe,
    scene::Scene,
};
use crate::conformance::{
    Point,
    violation::{Checked, ensure},
};
use tower_layer::Layer;

impl<L: Layer<Probe, Service: Limited>> Scene<'_, L> {
    pub(super) async fn a_refusal_fails_the_call_and_not_the_service(&mut self) -> Checked {
        self.exhaust().await?;
        let calls = self.watch.calls();
        let mut refused = self.readiers(1);
        self.settle(&mut refused).await;
        let found = refused[0].to_string();
        ensure(refused[0].is(Fate::Ready), Point::ReadyForRefusal, || found)?;
        refused.iter_mut().for_each(Caller::goes_on);
        self.settle(&mut refused).await;
        let found = refused[0].to_string();
        ensure(!refused[0].is(Fate::Passed), Point::Limits, || found)?;
        let seen = self.watch.calls();
        ensure(seen == calls, Point::RefusedUnseen, || format!("it was called for {seen:?}"))?;
        let found = refused[0].to_string();
        ensure(refused[0].is(Fate::FailedInCall), Point::Patience, || found)?;
        let reserved = self.watch.reserved();
        ensure(reserved == 0, Point::InnerLast, || format!("{reserved} reserved when refused"))?;
        self.wait(1, &mut []).await;
        let services: Vec<_> = refused.into_iter().map(|caller| caller.service).collect();
        let mut again: Vec<_> =
            services.into_iter().map(|service| self.caller_of(service)).collect();
        self.event("the service that has refused is called again");
        self.all_pass(&mut again, Point::AfterRefusal).await
    }
}
